-- ARGV 3: owner, 4: shards, 5: samples, 6: resolved request as JSON, 7: created ms, 8: bitmap of stored shards ('' for none),
-- 9: tags as JSON, 10: when it expires, ms; '' for none, 11: rank among its owner's jobs, 0 first.
let_go(ARGV[3], id .. ' ' .. ARGV[5])
if status then return 'EXISTS' end
owner = ARGV[3]
redis.call('HSET', JOB, 'status', 'queued', 'owner', owner, 'shards', ARGV[4], 'samples', ARGV[5], 'request', ARGV[6],
  'created_ms', ARGV[7], 'done', 0, 'reused', 0, 'next', 0, 'rank', ARGV[11])
if ARGV[9] ~= '' then redis.call('HSET', JOB, 'tags', ARGV[9]) end
if ARGV[10] ~= '' then redis.call('HSET', JOB, 'expires_ms', ARGV[10]) end
if ARGV[8] ~= '' then
  redis.call('SET', DONE, ARGV[8])
  local done = redis.call('BITCOUNT', DONE)
  redis.call('HSET', JOB, 'done', done)
  if done == tonumber(ARGV[4]) then redis.call('HSET', JOB, 'status', 'finalizing') end
end
redis.call('ZADD', 'lm:owners', 'NX', 0, owner)
due_at(now)
return 'CREATED'
