-- Looks at all that the ledger holds at one moment; returns what contradicts itself. ARGV[1]: the moment, ms.
local wrong, now = {}, tonumber(ARGV[1])
local function say(...) wrong[#wrong + 1] = table.concat({ ... }, ' ') end
local function is_job(key) return string.match(key, '^lm:job:([%w_-]+)$') end
for _, key in ipairs(redis.call('KEYS', 'lm:job:*')) do
  local id = is_job(key)
  if id then
    local status, owner = redis.call('HGET', key, 'status'), redis.call('HGET', key, 'owner')
    local done, shards = tonumber(redis.call('HGET', key, 'done')), tonumber(redis.call('HGET', key, 'shards'))
    local bits = redis.call('BITCOUNT', key .. ':done')
    if done ~= bits then say(id, 'counts', done, 'shards done of', bits, 'bits') end
    if bits > shards then say(id, 'has', bits, 'bits of', shards, 'shards') end
    for _, shard in ipairs(redis.call('ZRANGE', key .. ':leases', 0, -1)) do
      if redis.call('GETBIT', key .. ':done', shard) == 1 then say(id, 'shard', shard, 'is done and leased') end
    end
    local is_open = redis.call('ZSCORE', 'lm:order:' .. owner, id)
    local ended = status == 'completed' or status == 'failed' or status == 'cancelled'
    local due = redis.call('ZSCORE', 'lm:due:' .. owner, id)
    if ended and due then say(id, 'has ended and is due') end
    if (due and not is_open) or (is_open and not due) then say(id, 'is in one of outbox and order') end
    if not ended and not due then say(id, 'is', status, 'and never due') end
    if status == 'finalizing' and bits ~= shards then say(id, 'is finalizing with', bits, 'of', shards) end
  end
end
local function owners_of(set) return redis.call('ZRANGE', set, 0, -1) end
for _, set in ipairs({ 'lm:owners', 'lm:ready', 'lm:later' }) do
  for _, owner in ipairs(owners_of(set)) do
    if redis.call('EXISTS', 'lm:due:' .. owner) == 0 then say(owner, 'is in', set, 'with no job') end
  end
end
for _, key in ipairs(redis.call('KEYS', 'lm:due:*')) do
  local owner = string.sub(key, 8)
  local soonest = tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
  local ready, later = redis.call('ZSCORE', 'lm:ready', owner), redis.call('ZSCORE', 'lm:later', owner)
  if not redis.call('ZSCORE', 'lm:owners', owner) then say(owner, 'has jobs and no turn') end
  if (ready and later) or not (ready or later) then say(owner, 'is not in one of ready and later') end
  if later and tonumber(later) ~= soonest then say(owner, 'is looked at', later, 'and due', soonest) end
  if ready and soonest > now then say(owner, 'is ready before it is due') end
end
local slots = 0
for _, worker in ipairs(redis.call('ZRANGE', 'lm:workers', 0, -1)) do
  slots = slots + tonumber(redis.call('HGET', 'lm:workers:slots', worker))
end
if slots ~= tonumber(redis.call('GET', 'lm:workers:total') or 0) then say('the slots are', slots) end
return wrong
