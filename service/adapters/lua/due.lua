-- ARGV 2: '' (no job), 3: most jobs to return. Due jobs, owners in turn: the one served longest ago first.
local limit, found, round = tonumber(ARGV[3]), {}, {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'lm:later', '-inf', now)) do make_ready(name) end
local at, names = 0, nil
repeat
  names = redis.call('ZRANGE', 'lm:ready', at, at + limit - 1)
  for _, name in ipairs(names) do
    local jobs = redis.call('ZRANGEBYSCORE', 'lm:due:' .. name, '-inf', now, 'LIMIT', 0, limit)
    if #jobs > 0 then round[#round + 1] = { name = name, jobs = jobs } end
  end
  at = at + limit
until #names == 0 or #round >= limit -- each of these owners gives one job before any gives two
local depth, took = 1, true
while took and #found < limit do
  took = false
  for _, turn in ipairs(round) do
    if turn.jobs[depth] and #found < limit then
      found[#found + 1] = turn.jobs[depth]
      redis.call('ZADD', 'lm:owners', redis.call('INCR', 'lm:turn'), turn.name)
      make_ready(turn.name)
      took = true
    end
  end
  depth = depth + 1
end
return found
