# Bybit v5: GET /v5/position/list?category=linear&settleCoin=USDT&limit=200. size is positive, side says
# which way. An answer of several pages is refused: a part of a list would make symbols flat. Without
# limit=200 a page has 20 rows, so the configuration needs it.
if .retCode != 0 then error("retCode \(.retCode): \(.retMsg)") end
| if (.result.nextPageCursor // "") != "" and (.result.list | length) >= 200 then error("more than one page") end
| .result.list
| if type != "array" then error("result.list is not an array") end
| [.[] | {
    symbol,
    quantity: (
      if .side == "Sell" then .size | negate
      elif .side == "Buy" or ([.size] | exact_sum | tonumber) == 0 then .size
      else error("\(.symbol) has the side \(.side)") end
    ),
    average_price: .avgPrice,
    market_price: .markPrice
  }]
