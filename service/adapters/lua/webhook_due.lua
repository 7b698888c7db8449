-- ARGV 3: ms from now, 4: '' always, 'NX' only if it has no time yet.
if ARGV[4] == '' then redis.call('ZADD', 'lm:webhooks', now + ARGV[3], id)
else redis.call('ZADD', 'lm:webhooks', ARGV[4], now + ARGV[3], id) end
return 'OK'
