-- ARGV 3: shard, 4: token, 5: lease ms, 6: most attempts. Returns {verdict [, request JSON]}.
local shard, token = ARGV[3], ARGV[4]
if not status then return { 'GONE' } end
-- A message may hold anything; a shard that is not there must not fail the job.
if tonumber(shard) < 0 or tonumber(shard) >= tonumber(redis.call('HGET', JOB, 'shards')) then return { 'GONE' } end
if redis.call('GETBIT', DONE, shard) == 1 then return { 'DONE' } end
if not wants_shards() then return { 'STOP' } end
if fail_if_expired() then return { 'FAIL' } end
local holder, lease = redis.call('HGET', HOLDERS, shard), redis.call('ZSCORE', LEASES, shard)
if holder and holder ~= token and lease and tonumber(lease) > now then return { 'BUSY' } end
-- Counted here and nowhere else: a shard that kills its worker must end too.
local attempt = redis.call('HINCRBY', ATTEMPTS, shard, 1)
if attempt > tonumber(ARGV[6]) then
  local last = redis.call('HGET', JOB, 'last_error') or 'its worker died each time'
  fail('shard ' .. shard .. ' failed ' .. ARGV[6] .. ' times: ' .. last)
  return { 'FAIL' }
end
redis.call('HSET', HOLDERS, shard, token)
redis.call('HDEL', SENT, shard)
redis.call('ZADD', LEASES, now + tonumber(ARGV[5]), shard)
redis.call('HSETNX', JOB, 'started_ms', now)
redis.call('HSET', JOB, 'status', 'running')
count('attempts_begun')
return { 'OK', redis.call('HGET', JOB, 'request') }
