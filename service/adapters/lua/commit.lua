-- ARGV 3: shard, 4: record JSON, 5: 1 when the shard was stored before.
-- No token is asked for: any stored object of this shard is a right one, whoever wrote it.
local shard = ARGV[3]
if not status then return 'GONE' end
if redis.call('GETBIT', DONE, shard) == 1 then return 'DUP' end
if not wants_shards() then return 'STOP' end
redis.call('SETBIT', DONE, shard, 1)
redis.call('ZREM', LEASES, shard)
redis.call('HDEL', HOLDERS, shard)
redis.call('HDEL', ATTEMPTS, shard)
redis.call('HDEL', SENT, shard)
redis.call('HSET', RECORDS, shard, ARGV[4])
redis.call('HINCRBY', JOB, 'reused', ARGV[5])
count(ARGV[5] == '1' and 'shards_reused' or 'shards_made')
redis.call('HSETNX', JOB, 'started_ms', now)
local done = redis.call('BITCOUNT', DONE)
redis.call('HSET', JOB, 'done', done)
due_at(now, 'LT')
if done == tonumber(redis.call('HGET', JOB, 'shards')) then
  redis.call('HSET', JOB, 'status', 'finalizing')
  return 'LAST'
end
return 'OK'
