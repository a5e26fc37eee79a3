# Freqtrade: GET /api/v1/status, the open trades. amount is what the orders that have ended bought and did
# not sell; what open orders have filled comes on top, as the exchange has it already.
if type != "array" then error("not an array of trades") end
| [.[]
  | if (.is_short | type) != "boolean" then error("a trade without is_short") end
  | if (.orders | type) != "array" then error("a trade without orders") end
  | (if .is_short then "sell" else "buy" end) as $entry
  | ([.amount] + [.orders[] | select(.is_open)
      | (.filled // "0") as $filled
      | if .ft_order_side == $entry then $filled else $filled | negate end]
    | exact_sum) as $amount
  | {
    symbol: .pair,
    quantity: (if .is_short then $amount | negate else $amount end),
    average_price: .open_rate,
    market_price: .current_rate
  }]
