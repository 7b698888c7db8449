-- Drops a job. Only a terminal one: storage has forgotten it first.
if status and not is_terminal() then return status end
redis.call('DEL', JOB, DONE, LEASES, HOLDERS, SENT, ATTEMPTS, RECORDS)
return 'GONE'
