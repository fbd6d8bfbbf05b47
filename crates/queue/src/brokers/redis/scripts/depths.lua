-- Counts of every queue that was ever used or declared. ARGV: P, now. Answers now, the members that are held, and of each
-- queue: name, ready, delayed, aside, dead, paused, bytes, the message that waits longest.
local held = {}
for _, session in ipairs(redis.call('ZRANGE', O .. 'sessions', 0, -1)) do
  for _, member in ipairs(redis.call('ZRANGE', O .. 'held:' .. session, 0, 9999)) do
    held[#held + 1] = member
  end
end
local answer = {NOW, held}
for _, queue in ipairs(redis.call('SMEMBERS', O .. 'queues')) do
  local ready, bytes, oldest = 0, 0, {}
  for lane = 1, #LANES do
    for step = 1, #STEPS do
      local list = P .. queue .. LANES[lane] .. STEPS[step]
      local length = length_of(list)
      if length > 0 then
        ready = ready + length
        local last = redis.call('LINDEX', list, -1)
        oldest[#oldest + 1] = string.match(last, '"vigie_at"%s*:%s*(%d+)') or ''
        bytes = bytes + length * #last
      end
    end
  end
  local delayed = redis.call('ZCARD', O .. 'delayed:' .. queue)
  answer[#answer + 1] = {
    queue, ready, delayed, redis.call('HLEN', O .. 'room:' .. queue) - delayed,
    tonumber(redis.call('HGET', O .. 'dead:counts', queue) or '0'),
    redis.call('SISMEMBER', O .. 'paused', queue), bytes, oldest,
  }
end
return answer
