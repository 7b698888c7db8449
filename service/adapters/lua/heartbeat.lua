-- ARGV 2: worker, 3: ms it is believed, 4: slots, 5: what it is, as JSON. '' slots: the worker says goodbye.
if ARGV[4] == '' then
  redis.call('ZREM', 'lm:workers', id)
  redis.call('HDEL', 'lm:workers:slots', id)
  redis.call('HDEL', 'lm:workers:info', id)
  return 'GONE'
end
redis.call('ZADD', 'lm:workers', now + tonumber(ARGV[3]), id)
redis.call('HSET', 'lm:workers:slots', id, ARGV[4])
redis.call('HSET', 'lm:workers:info', id, ARGV[5])
return 'OK'
