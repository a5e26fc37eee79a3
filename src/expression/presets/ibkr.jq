# Interactive Brokers, Client Portal: GET /v1/api/portfolio/{account}/positions/0. Pages have 30 or 100
# positions, by the gateway; one that may be full is refused, because the next one may have more.
if type != "array" then error("not an array of positions") end
| if length >= 30 then error("more than one page") end
| [.[] | {symbol: .contractDesc, quantity: .position, average_price: .avgPrice, market_price: .mktPrice}]
