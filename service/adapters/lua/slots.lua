-- {slots, workers} of all that are believed alive; dead ones are dropped.
-- A running total, because it is asked for at every commit.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'lm:workers', '-inf', now)) do drop_worker(name) end
return { tonumber(redis.call('GET', 'lm:workers:total') or 0), redis.call('ZCARD', 'lm:workers') }
