-- ARGV 3…: jobs whose webhook is owed; one that has a time keeps it.
for each = 3, #ARGV do redis.call('ZADD', 'lm:webhooks', 'NX', now, ARGV[each]) end
return 'OK'
