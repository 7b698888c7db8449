-- ARGV 3: most webhooks, 4: lease, ms. Answers when the lease ends, then the jobs.
local lease = now + ARGV[4]
local due = redis.call('ZRANGEBYSCORE', 'lm:webhooks', '-inf', now, 'LIMIT', 0, ARGV[3])
for _, job in ipairs(due) do redis.call('ZADD', 'lm:webhooks', lease, job) end
table.insert(due, 1, string.format('%.0f', lease))
return due
