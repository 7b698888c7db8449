-- ARGV 3: samples, 4: bytes, 5: busy ms, 6: ms of a span, 7: spans told over, 8: samples remembered of a kind, 9: ms
-- without a new one, 10 …: kinds. One script, because two that forget half at once would forget all.
local SPAN = 'lm:made:' .. math.floor(now / ARGV[6])
redis.call('INCRBY', SPAN, ARGV[3])
redis.call('PEXPIRE', SPAN, 2 * ARGV[6] * ARGV[7])
count('images', ARGV[3])
count('bytes', ARGV[4])
count('busy_ms', ARGV[5])
for i = 10, #ARGV do
  local WORK = 'lm:work:' .. ARGV[i]
  local made = { samples = ARGV[3], bytes = ARGV[4], busy_ms = ARGV[5] }
  for field, amount in pairs(made) do made[field] = redis.call('HINCRBY', WORK, field, amount) end
  -- What was made long ago says little of how fast the fleet is now.
  if made.samples > tonumber(ARGV[8]) then
    for field, amount in pairs(made) do redis.call('HINCRBY', WORK, field, -math.floor(amount / 2)) end
  end
  redis.call('PEXPIRE', WORK, ARGV[9])
end
return 'OK'
