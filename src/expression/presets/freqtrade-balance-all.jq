# Freqtrade: GET /api/v1/balance. Of futures the positions; of spot every coin except the stake currency.
# For accounts that hold nothing but what the bot bought.
.stake as $stake
| .currencies
| if type != "array" then error("currencies is not an array") end
| any(.[]; .is_position) as $futures
| [.[]
  | if .is_position then
      {symbol: .currency, quantity: (
        if .side == "short" then .position | negate
        elif .side == "long" then .position
        else error("\(.currency) has the side \(.side)") end
      )}
    elif .currency != $stake and ($futures | not) then
      {symbol: "\(.currency)/\($stake)", quantity: .balance}
    else empty end]
