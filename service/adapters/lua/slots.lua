-- Slots of all workers that are believed alive; dead ones are dropped.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'lm:workers', '-inf', now)) do
  redis.call('ZREM', 'lm:workers', name)
  redis.call('HDEL', 'lm:workers:slots', name)
  redis.call('HDEL', 'lm:workers:info', name)
end
local slots = 0
for _, count in ipairs(redis.call('HVALS', 'lm:workers:slots')) do slots = slots + tonumber(count) end
return slots
