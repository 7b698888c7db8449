-- ARGV 3: most shards of the job out at once, 4: most to send now, 5: queue lease ms, 6: its ceiling, 7: finisher's lease ms.
-- Returns {status, shards of the job, shard …}: what to send. An intent returns its status alone: the caller finishes the job.
if not status then return { 'GONE' } end
if is_terminal() then never_due(); return { status } end
fail_if_expired()
if not wants_shards() then due_at(now + tonumber(ARGV[7])); return { status } end
local window, room, shards = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(redis.call('HGET', JOB, 'shards'))
local out, sent = { status, tostring(shards) }, 0
local live = redis.call('ZCOUNT', LEASES, '(' .. now, '+inf')
local function send(shard)
  -- Doubling, because a message may only be waiting behind a long queue.
  local times = redis.call('HINCRBY', SENT, shard, 1)
  local lease = math.min(tonumber(ARGV[5]) * 2 ^ (times - 1), tonumber(ARGV[6]))
  forget_holder(HOLDERS, shard)
  redis.call('ZADD', LEASES, now + math.floor(lease), shard)
  live, sent = live + 1, sent + 1
  out[#out + 1] = tostring(shard)
end
for _, shard in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, window)) do
  if redis.call('GETBIT', DONE, shard) == 1 then redis.call('ZREM', LEASES, shard)
  elseif live < window and sent < room then send(shard) end
end
local next = tonumber(redis.call('HGET', JOB, 'next'))
while live < window and next < shards do
  if redis.call('GETBIT', DONE, next) == 0 and not redis.call('ZSCORE', LEASES, next) then
    if sent >= room then break end
    send(next)
  end
  next = next + 1
end
if next >= shards and redis.call('ZCARD', LEASES) == 0 and redis.call('BITCOUNT', DONE) < shards then
  next = 0 -- Redis came back with an older state and lost a bit: look at every shard again.
end
redis.call('HSET', JOB, 'next', next)
local soonest = redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')
local starved = live < window and next < shards -- only the room ran out
local again = (starved or not soonest[2]) and now or tonumber(soonest[2])
due_at(math.min(again, expires_at() or again))
return out
