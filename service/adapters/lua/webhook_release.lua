-- ARGV 3: the lease that was claimed, 4: ms from now, '' when nothing is owed any more.
local score = redis.call('ZSCORE', 'lm:webhooks', id)
if not score or tonumber(score) ~= tonumber(ARGV[3]) then return 'LOST' end
if ARGV[4] == '' then redis.call('ZREM', 'lm:webhooks', id)
else redis.call('ZADD', 'lm:webhooks', now + ARGV[4], id) end
return 'OK'
