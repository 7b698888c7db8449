-- ARGV 3: shard, 4: token, 5: reason, 6: ms until the next try; '' when no try can help, 7: 1 when the try counts.
if not wants_shards() then return 'STOP' end
if redis.call('HGET', HOLDERS, ARGV[3]) ~= ARGV[4] then return 'LOST' end
redis.call('HDEL', HOLDERS, ARGV[3])
count(ARGV[6] == '' and 'attempts_hopeless' or ARGV[7] == '0' and 'attempts_unavailable' or 'attempts_failed')
if ARGV[6] == '' then fail('shard ' .. ARGV[3] .. ': ' .. ARGV[5]); return 'FAIL' end
redis.call('HSET', JOB, 'last_error', ARGV[5])
if ARGV[7] == '0' then redis.call('HINCRBY', ATTEMPTS, ARGV[3], -1) end
local again = now + tonumber(ARGV[6])
redis.call('ZADD', LEASES, again, ARGV[3])
due_at(again, 'LT')
return 'OK'
