# Freqtrade: GET /api/v1/balance. Of futures the positions; of spot the whole balance of each coin that an
# open trade is about. bot_owned is not used: it is what the bot believes, not what the exchange says.
# Coins without an open trade (a fee currency, dust of a closed trade, your own) are left out.
.stake as $stake
| .currencies
| if type != "array" then error("currencies is not an array") end
| [.[]
  | if .is_position then
      {symbol: .currency, quantity: (
        if .side == "short" then .position | negate
        elif .side == "long" then .position
        else error("\(.currency) has the side \(.side)") end
      )}
    elif .currency == $stake then empty
    elif has("is_bot_managed") | not then error("\(.currency) has no is_bot_managed: Freqtrade is too old")
    elif .is_bot_managed then
      {symbol: "\(.currency)/\($stake)", quantity: .balance}
    else empty end]
