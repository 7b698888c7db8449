-- Before every script. ARGV[1]: milliseconds, or '' for the server's clock (a virtual clock in tests). ARGV[2]: the job's id.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local id = ARGV[2]
local JOB = 'lm:job:' .. id          -- hash: status, owner, request, counters
local DONE = JOB .. ':done'          -- bitmap: shard is stored
local LEASES = JOB .. ':leases'      -- zset: shard -> when it may be sent again, ms
local HOLDERS = JOB .. ':holders'    -- hash: shard -> token of the worker that runs it
local SENT = JOB .. ':sent'          -- hash: shard -> messages sent without a begin
local ATTEMPTS = JOB .. ':attempts'  -- hash: shard -> tries
local RECORDS = JOB .. ':records'    -- hash: shard -> what is known of the stored object
local status = redis.call('HGET', JOB, 'status')
local owner = redis.call('HGET', JOB, 'owner')

-- What a fleet has done since its Redis began, for those who watch it; nothing is decided by it.
local function count(what, by) redis.call('HINCRBY', 'lm:counts', what, by or 1) end
local function wants_shards() return status == 'queued' or status == 'running' end
local function is_terminal() return status == 'completed' or status == 'failed' or status == 'cancelled' end
-- The outbox: a job in here is looked at when its time has come, whatever happened to its messages.
-- Looking for work must cost what is due, not who has jobs: an owner is in `lm:ready`, by turn, while a job of its is due,
-- else in `lm:later`, by the soonest of its jobs.
local function make_ready(name)
  redis.call('ZADD', 'lm:ready', redis.call('ZSCORE', 'lm:owners', name) or 0, name)
  redis.call('ZREM', 'lm:later', name)
end
local function note_soonest(name)
  local first = redis.call('ZRANGE', 'lm:due:' .. name, 0, 0, 'WITHSCORES')
  if not first[2] then
    for _, set in ipairs({ 'lm:owners', 'lm:ready', 'lm:later' }) do redis.call('ZREM', set, name) end
  elseif tonumber(first[2]) <= now then make_ready(name)
  else
    redis.call('ZADD', 'lm:later', first[2], name)
    redis.call('ZREM', 'lm:ready', name)
  end
end
-- Samples of the owner that are reserved or in unfinished jobs. A job counts while it is in `lm:due`, so the two agree.
local function add_queued(name, samples)
  if tonumber(samples) == 0 then return end -- as a negative number it is "-0", which Redis 7 takes for none
  if redis.call('INCRBY', 'lm:queued:' .. name, samples) <= 0 then redis.call('DEL', 'lm:queued:' .. name) end
end
-- Where a job stands among its owner's in `lm:order`: by rank, then by age.
local function order_of(rank, created_ms) return string.format('%.0f', rank * 1e13 + created_ms) end
local function due_at(time, flag)
  local added = flag and redis.call('ZADD', 'lm:due:' .. owner, flag, time, id)
    or not flag and redis.call('ZADD', 'lm:due:' .. owner, time, id)
  if added == 1 then
    local its = redis.call('HMGET', JOB, 'samples', 'rank', 'created_ms')
    add_queued(owner, its[1] or 0)
    redis.call('ZADD', 'lm:order:' .. owner, order_of(its[2] or 0, its[3] or 0), id)
  end
  note_soonest(owner)
end
local function never_due()
  if redis.call('ZREM', 'lm:due:' .. owner, id) == 1 then
    add_queued(owner, -(redis.call('HGET', JOB, 'samples') or 0))
    redis.call('ZREM', 'lm:order:' .. owner, id)
  end
  note_soonest(owner)
end
-- A reservation is a job's id and its samples: two bodies under one id must not pass for one.
-- Submits of the same body share it, so that fifty at once are charged like the one job that they make.
local function let_go(name, place)
  redis.call('HDEL', 'lm:sharers:' .. name, place)
  if redis.call('ZREM', 'lm:reserved:' .. name, place) == 0 then return false end
  add_queued(name, -(string.match(place, ' (%d+)$') or 0))
  return true
end
local function fail(reason)
  redis.call('HSET', JOB, 'status', 'failing', 'error', reason)
  due_at(now)
end
-- A job that waits too long for its first shard fails; looked at wherever one could begin.
local function expires_at() return status == 'queued' and tonumber(redis.call('HGET', JOB, 'expires_ms') or '') end
local function fail_if_expired()
  local expires = expires_at()
  if not expires or now < expires then return false end
  fail('it was not started before it expired')
  status = 'failing'
  return true
end
-- Of a shard whose lease ran out: whoever ran it has died or stood still.
local function forget_holder(holders, shard)
  if redis.call('HDEL', holders, shard) == 1 then count('attempts_silent') end
end
local function drop_worker(name)
  redis.call('DECRBY', 'lm:workers:total', redis.call('HGET', 'lm:workers:slots', name) or 0)
  redis.call('ZREM', 'lm:workers', name)
  redis.call('HDEL', 'lm:workers:slots', name)
  redis.call('HDEL', 'lm:workers:info', name)
end
