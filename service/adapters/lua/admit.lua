-- ARGV 3: owner, 4: most active jobs of an owner, 5: ms a reservation lives.
-- A place is reserved before anything is written, so that a refused submit leaves nothing behind.
if status then return 'EXISTS' end
local RESERVED = 'lm:reserved:' .. ARGV[3]
redis.call('ZREMRANGEBYSCORE', RESERVED, '-inf', now)
if not redis.call('ZSCORE', RESERVED, id) then
  local active = redis.call('ZCARD', 'lm:due:' .. ARGV[3]) + redis.call('ZCARD', RESERVED)
  if active >= tonumber(ARGV[4]) then return 'BUSY' end
end
redis.call('ZADD', RESERVED, now + tonumber(ARGV[5]), id)
redis.call('PEXPIRE', RESERVED, ARGV[5])
return 'OK'
