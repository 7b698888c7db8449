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

local function wants_shards() return status == 'queued' or status == 'running' end
local function is_terminal() return status == 'completed' or status == 'failed' or status == 'cancelled' end
-- The outbox: a job in here is looked at when its time has come, whatever happened to its messages.
local function due_at(time, flag)
  if flag then redis.call('ZADD', 'lm:due:' .. owner, flag, time, id)
  else redis.call('ZADD', 'lm:due:' .. owner, time, id) end
end
local function fail(reason)
  redis.call('HSET', JOB, 'status', 'failing', 'error', reason)
  due_at(now)
end
