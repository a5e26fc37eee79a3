# OANDA v20: GET /v3/accounts/{account}/openPositions. Each instrument has a long and a short part; units
# of the short one are negative. Both are rows, which are added up.
.positions
| if type != "array" then error("positions is not an array") end
| [.[] | .instrument as $symbol | .long, .short | {symbol: $symbol, quantity: .units, average_price: .averagePrice}]
