-- ARGV 3: owner, 4: samples, 5: ms a reservation lives; most of 6: requests a minute, 7: active jobs, 8: queued samples,
-- 9: samples a day; 0 is no limit. Returns {verdict [, the limit that refuses, what is left of it, ms to wait]}.
-- A place is reserved before anything is written, and every limit is looked at before any is charged, so that a refused
-- submit leaves nothing behind.
if status then return { 'EXISTS' } end
local name, samples, lives = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local per_minute, jobs, queued, per_day = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local RESERVED, REQUESTS = 'lm:reserved:' .. name, 'lm:requests:' .. name
local DAY_MS = 86400000
local DAY = 'lm:day:' .. name .. ':' .. math.floor(now / DAY_MS)
local place = id .. ' ' .. ARGV[4]
-- What a submit that died had taken of the minute and the day stays taken: its job may be in storage.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', RESERVED, '-inf', now)) do let_go(name, old) end
if not redis.call('ZSCORE', RESERVED, place) then
  -- A bucket that holds a minute's requests and drains evenly.
  local last = redis.call('HMGET', REQUESTS, 'level', 'at')
  local level = math.max(0, (tonumber(last[1]) or 0) - (now - (tonumber(last[2]) or now)) * per_minute / 60000)
  if per_minute > 0 and level + 1 > per_minute then
    return { 'BUSY', 'requests', 0, math.ceil((level + 1 - per_minute) * 60000 / per_minute) }
  end
  local active = redis.call('ZCARD', 'lm:due:' .. name) + redis.call('ZCARD', RESERVED)
  if active >= jobs then return { 'BUSY', 'active-jobs', 0, 0 } end
  local waiting = tonumber(redis.call('GET', 'lm:queued:' .. name) or 0)
  if queued > 0 and waiting + samples > queued then return { 'BUSY', 'queued-samples', queued - waiting, 0 } end
  local today = tonumber(redis.call('GET', DAY) or 0)
  if per_day > 0 and today + samples > per_day then
    return { 'BUSY', 'samples-per-day', per_day - today, DAY_MS - now % DAY_MS }
  end
  if per_minute > 0 then
    redis.call('HSET', REQUESTS, 'level', level + 1, 'at', now)
    redis.call('PEXPIRE', REQUESTS, math.ceil((level + 1) * 60000 / per_minute))
  end
  if samples > 0 then
    redis.call('INCRBY', DAY, samples)
    redis.call('PEXPIRE', DAY, 2 * DAY_MS)
    add_queued(name, samples)
  end
end
redis.call('ZADD', RESERVED, now + lives, place)
redis.call('HINCRBY', 'lm:sharers:' .. name, place, 1)
return { 'OK' }
