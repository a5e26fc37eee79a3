# Alpaca: GET /v2/positions. An array; a symbol that is missing is flat. qty of a short position is
# negative already; older answers had it positive with "side": "short".
if type != "array" then error("not an array of positions") end
| [.[] | {
    symbol,
    quantity: (if .side == "short" and (.qty | tostring | startswith("-") | not) then .qty | negate else .qty end),
    average_price: .avg_entry_price,
    market_price: .current_price
  }]
