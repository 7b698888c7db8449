-- ARGV 3: shard, 4: ms that a message is believed. Returns {job, shard, 1 where an earlier try did not end well}: what to run.
-- A turn in the queue is its owner's. Which of the owner's shards runs in it is decided when a worker takes it, because a
-- message may have waited long: so an urgent job waits for running shards only, and no other owner waits for it.
local function is_wanted(shard, shards)
  if not wants_shards() or tonumber(shard) < 0 or tonumber(shard) >= shards then return false end
  if redis.call('GETBIT', DONE, shard) == 1 then return false end
  local lease = redis.call('ZSCORE', LEASES, shard)
  return not (redis.call('HEXISTS', HOLDERS, shard) == 1 and lease and tonumber(lease) > now)
end
-- Of another job, the shard that would be sent or taken next.
local function waiting_of(job, most)
  local of = 'lm:job:' .. job
  local its = redis.call('HMGET', of, 'status', 'shards', 'next')
  if its[1] ~= 'queued' and its[1] ~= 'running' or tonumber(its[2]) > most then return nil end
  local function is_done(shard) return redis.call('GETBIT', of .. ':done', shard) == 1 end
  local silent = redis.call('ZRANGEBYSCORE', of .. ':leases', '-inf', now, 'LIMIT', 0, 1)[1]
  if silent and not is_done(silent) then return silent end
  for shard = tonumber(its[3]), tonumber(its[2]) - 1 do
    if not is_done(shard) and not redis.call('ZSCORE', of .. ':leases', shard) then
      redis.call('HSET', of, 'next', shard + 1)
      return shard
    end
  end
  local sent = redis.call('HKEYS', of .. ':sent')
  table.sort(sent, function(one, other) return tonumber(one) < tonumber(other) end)
  return sent[1]
end
local function take(job, shard)
  local of = 'lm:job:' .. job
  forget_holder(of .. ':holders', shard)
  redis.call('HDEL', of .. ':sent', shard) -- nobody else takes it before it is begun
  redis.call('ZADD', of .. ':leases', now + ARGV[4], shard)
  redis.call('ZADD', 'lm:due:' .. owner, 'LT', now + ARGV[4], job)
end
local function first_waiting(jobs, most)
  for _, job in ipairs(jobs) do
    local shard = waiting_of(job, most)
    if shard then return job, shard end
  end
end
local job, shard = id, ARGV[3]
local its = redis.call('HMGET', JOB, 'shards', 'rank')
local shards, rank = tonumber(its[1] or 0), tonumber(its[2] or 0)
local urgent = owner and redis.call('ZRANGEBYSCORE', 'lm:order:' .. owner, '-inf', '(' .. order_of(rank, 0), 'LIMIT', 0, 64) or {}
if #urgent > 0 and is_wanted(shard, shards) then
  -- A queue that is read first is for jobs of one shard: none becomes another's way past other owners.
  local other, its_shard = first_waiting(urgent, shards > 1 and math.huge or 1)
  if other then
    take(other, its_shard)
    count('turns_lent')
    redis.call('HDEL', SENT, shard)
    forget_holder(HOLDERS, shard)
    redis.call('ZADD', LEASES, now, shard)
    due_at(now, 'LT')
    job, shard = other, its_shard
  end
end
local of = 'lm:job:' .. job
local tried = tonumber(redis.call('HGET', of .. ':attempts', shard) or 0) > 0
return { job, shard, tried and redis.call('HEXISTS', of .. ':holders', shard) == 0 and 1 or 0 }
