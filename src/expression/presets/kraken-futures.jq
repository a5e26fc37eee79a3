# Kraken Futures: GET /derivatives/api/v3/openpositions. size is positive, side says which way.
if .result != "success" then error("result: \(.result) \(.error // "")") end
| .openPositions
| if type != "array" then error("openPositions is not an array") end
| [.[] | {
    symbol,
    quantity: (
      if .side == "short" then .size | negate
      elif .side == "long" then .size
      else error("\(.symbol) has the side \(.side)") end
    ),
    average_price: .price
  }]
