-- ARGV 3: shard, 4: token, 5: lease ms.
if not wants_shards() then return 'STOP' end
if redis.call('HGET', HOLDERS, ARGV[3]) ~= ARGV[4] then return 'LOST' end
redis.call('ZADD', LEASES, 'XX', now + tonumber(ARGV[5]), ARGV[3])
return 'OK'
