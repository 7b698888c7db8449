-- ARGV 2: worker, 3: ms it is believed, 4: slots, 5: what it is, as JSON. '' slots: the worker says goodbye.
if ARGV[4] == '' then
  drop_worker(id)
  return 'GONE'
end
local before = redis.call('HGET', 'lm:workers:slots', id) or 0
redis.call('INCRBY', 'lm:workers:total', ARGV[4] - before)
redis.call('ZADD', 'lm:workers', now + tonumber(ARGV[3]), id)
redis.call('HSET', 'lm:workers:slots', id, ARGV[4])
redis.call('HSET', 'lm:workers:info', id, ARGV[5])
return 'OK'
