-- ARGV 3: owner, 4: shards, 5: resolved request as JSON, 6: created ms, 7: bitmap of stored shards ('' for none).
redis.call('ZREM', 'lm:reserved:' .. ARGV[3], id)
if status then return 'EXISTS' end
owner = ARGV[3]
redis.call('HSET', JOB, 'status', 'queued', 'owner', owner, 'shards', ARGV[4], 'request', ARGV[5],
  'created_ms', ARGV[6], 'done', 0, 'reused', 0, 'next', 0)
if ARGV[7] ~= '' then
  redis.call('SET', DONE, ARGV[7])
  local done = redis.call('BITCOUNT', DONE)
  redis.call('HSET', JOB, 'done', done)
  if done == tonumber(ARGV[4]) then redis.call('HSET', JOB, 'status', 'finalizing') end
end
redis.call('ZADD', 'lm:owners', 'NX', 0, owner)
due_at(now)
return 'CREATED'
