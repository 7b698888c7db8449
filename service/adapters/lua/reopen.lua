-- ARGV 3 …: shards that the finisher did not find in storage.
if status ~= 'finalizing' then return status or 'GONE' end
for i = 3, #ARGV do
  redis.call('SETBIT', DONE, ARGV[i], 0)
  redis.call('HDEL', RECORDS, ARGV[i])
end
redis.call('HSET', JOB, 'status', 'running', 'done', redis.call('BITCOUNT', DONE), 'next', 0)
due_at(now)
return 'REOPENED'
