# Kraken: POST /0/private/OpenPositions. Margin positions by the transaction that opened them; those of a
# pair are added up. What is left of one is vol - vol_closed.
if (.error | length) > 0 then error(.error | join(", ")) end
| .result
| if type != "object" then error("result is not an object") end
| [.[] | {
    symbol: .pair,
    quantity: ([.vol, (.vol_closed | negate)] | exact_sum),
    side: .type
  } | {symbol, quantity: (
      if .side == "sell" then .quantity | negate
      elif .side == "buy" then .quantity
      else error("\(.symbol) has the type \(.side)") end
    )}]
