-- Makes parked jobs of one queue and task ready, a bounded number. ARGV: P, now, queue, task, at most. Answers how many were
-- moved, and whether more are left.
local queue, task = ARGV[3], ARGV[4]
local key = O .. 'parked:' .. queue .. SEP .. task
local tags = redis.call('ZRANGE', key, 0, tonumber(ARGV[5]) - 1)
local moved = 0
if #tags > 0 then
  moved = seat_again(queue, tags)
  if moved > 0 or not is_fouled(queue) then redis.call('ZREM', key, unpack(tags)) end
end
local left = redis.call('ZCARD', key)
if left == 0 then redis.call('HDEL', O .. 'parked', queue .. SEP .. task) end
return {moved, left}
