# Binance USD-M futures: GET /fapi/v3/positionRisk. positionAmt is signed, also in hedge mode, where the
# long and the short position of a symbol are two rows, which are added up.
if type != "array" then error("not an array of positions") end
| [.[] | {symbol, quantity: .positionAmt, average_price: .entryPrice, market_price: .markPrice}]
