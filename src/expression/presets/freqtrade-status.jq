# Freqtrade: GET /api/v1/status, the open trades. amount is what has been bought and not sold yet.
if type != "array" then error("not an array of trades") end
| [.[] | {
    symbol: .pair,
    quantity: (if .is_short then .amount | negate else .amount end),
    average_price: .open_rate,
    market_price: .current_rate
  }]
