-- Returns the status after the call; 'cancelling' means this or an earlier call asked for it.
if not status then return 'GONE' end
if wants_shards() then
  redis.call('HSET', JOB, 'status', 'cancelling')
  due_at(now)
  return 'cancelling'
end
return status
