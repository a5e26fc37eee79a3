# Tradier: GET /v1/accounts/{account}/positions. quantity is signed. One position is an object, none is the
# text "null". There is no price, only the cost of the whole position.
.positions
| if . == "null" then []
  elif type == "object" and (.position | type) == "array" then .position
  elif type == "object" and (.position | type) == "object" then [.position]
  else error("positions is neither a list nor \"null\"") end
| [.[] | {symbol, quantity}]
