-- ARGV 3: owner. Gives a reservation back.
redis.call('ZREM', 'lm:reserved:' .. ARGV[3], id)
return 'OK'
