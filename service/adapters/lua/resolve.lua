-- ARGV 3: terminal status that storage decided, 4: error, 5: finished ms, 6: ms to keep the job. Redis only follows.
-- A webhook that waits for this end is due, also where the ledger forgot the job itself.
redis.call('ZADD', 'lm:webhooks', 'XX', now, id)
if not status then return 'GONE' end
if is_terminal() and status ~= ARGV[3] then return 'CONFLICT' end
if not is_terminal() then count('jobs_' .. ARGV[3]) end
redis.call('HSET', JOB, 'status', ARGV[3], 'finished_ms', ARGV[5])
if ARGV[4] ~= '' then redis.call('HSET', JOB, 'error', ARGV[4]) end
never_due()
redis.call('DEL', LEASES, HOLDERS, SENT, ATTEMPTS, RECORDS)
redis.call('PEXPIRE', JOB, ARGV[6])
redis.call('PEXPIRE', DONE, ARGV[6])
return 'OK'
