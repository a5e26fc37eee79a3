# Interactive Brokers, Client Portal: GET /v1/api/portfolio/{account}/positions/0. Pages have up to 100
# positions; a full page is refused, because the next one may have more.
if type != "array" then error("not an array of positions") end
| if length >= 100 then error("more than one page") end
| [.[] | {symbol: .contractDesc, quantity: .position, average_price: .avgPrice, market_price: .mktPrice}]
