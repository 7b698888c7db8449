-- ARGV 3: owner, 4: samples. Gives a reservation back, and what it took of the minute and the day.
local name, place = ARGV[3], id .. ' ' .. ARGV[4]
if not redis.call('ZSCORE', 'lm:reserved:' .. name, place) then return 'OK' end
if redis.call('HINCRBY', 'lm:sharers:' .. name, place, -1) > 0 then return 'OK' end
let_go(name, place)
local REQUESTS = 'lm:requests:' .. name
if redis.call('EXISTS', REQUESTS) == 1 then redis.call('HINCRBYFLOAT', REQUESTS, 'level', -1) end
local DAY = 'lm:day:' .. name .. ':' .. math.floor(now / 86400000)
-- After midnight there may be less to give back than was taken.
local today = redis.call('GET', DAY)
if today and tonumber(today) >= tonumber(ARGV[4]) then redis.call('DECRBY', DAY, ARGV[4]) end
return 'OK'
