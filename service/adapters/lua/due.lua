-- ARGV 2: '' (no job), 3: most jobs to return. Due jobs, owners in turn: the one served longest ago first.
local limit, found, round = tonumber(ARGV[3]), {}, {}
for _, name in ipairs(redis.call('ZRANGE', 'lm:owners', 0, -1)) do
  local jobs = redis.call('ZRANGEBYSCORE', 'lm:due:' .. name, '-inf', now, 'LIMIT', 0, limit)
  if #jobs > 0 then round[#round + 1] = { name = name, jobs = jobs }
  elseif redis.call('EXISTS', 'lm:due:' .. name) == 0 then redis.call('ZREM', 'lm:owners', name) end
end
local depth, took = 1, true
while took and #found < limit do
  took = false
  for _, turn in ipairs(round) do
    if turn.jobs[depth] and #found < limit then
      found[#found + 1] = turn.jobs[depth]
      redis.call('ZADD', 'lm:owners', redis.call('INCR', 'lm:turn'), turn.name)
      took = true
    end
  end
  depth = depth + 1
end
return found
