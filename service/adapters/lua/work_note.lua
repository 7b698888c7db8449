-- ARGV 3: span, 4: ms it is kept, 5: samples, 6: bytes, 7: busy ms, 8: samples remembered of a kind, 9: ms without a new
-- one, 10 …: kinds. One script, because two that forget half at once would forget all.
redis.call('INCRBY', ARGV[3], ARGV[5])
redis.call('PEXPIRE', ARGV[3], ARGV[4])
for i = 10, #ARGV do
  local WORK = 'lm:work:' .. ARGV[i]
  local made = { samples = ARGV[5], bytes = ARGV[6], busy_ms = ARGV[7] }
  for field, amount in pairs(made) do made[field] = redis.call('HINCRBY', WORK, field, amount) end
  -- What was made long ago says little of how fast the fleet is now.
  if made.samples > tonumber(ARGV[8]) then
    for field, amount in pairs(made) do redis.call('HINCRBY', WORK, field, -math.floor(amount / 2)) end
  end
  redis.call('PEXPIRE', WORK, ARGV[9])
end
return 'OK'
