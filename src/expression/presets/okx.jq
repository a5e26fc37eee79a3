# OKX v5: GET /api/v5/account/positions. pos is in contracts; it is signed in net mode, and positive with
# posSide in long/short mode. Rows of margin trading have another meaning of pos and are refused: ask for
# instType=SWAP, FUTURES or OPTION.
if .code != "0" then error("code \(.code): \(.msg)") end
| .data
| if type != "array" then error("data is not an array") end
| [.[]
  | if .instType == "MARGIN" then error("\(.instId) is a margin position") end
  | {
      symbol: .instId,
      quantity: (
        if .posSide == "short" then .pos | negate
        elif .posSide == "long" or .posSide == "net" then .pos
        else error("\(.instId) has the posSide \(.posSide)") end
      ),
      average_price: .avgPx,
      market_price: .markPx
    }]
