-- Removes jobs of a queue that do not run, a bounded number. ARGV: P, now, queue, at most. Answers the messages.
local queue, most = ARGV[3], tonumber(ARGV[4])
for lane = 1, #LANES do
  for step = 1, #STEPS do
    local list = P .. queue .. LANES[lane] .. STEPS[step]
    local popped = length_of(list) > 0 and redis.call('RPOP', list, most)
    if popped and #popped > 0 then return popped end
  end
end
local room = O .. 'room:' .. queue
local kept = redis.call('HRANDFIELD', room, most, 'WITHVALUES')
local tags, messages = {}, {}
for index = 1, #kept, 2 do
  tags[#tags + 1] = kept[index]
  messages[#messages + 1] = string.sub(kept[index + 1], string.find(kept[index + 1], '\n', 1, true) + 1)
end
if #tags > 0 then
  redis.call('HDEL', room, unpack(tags))
  redis.call('ZREM', O .. 'delayed:' .. queue, unpack(tags))
  for _, field in ipairs(redis.call('HKEYS', O .. 'parked')) do
    if string.sub(field, 1, #queue + 2) == queue .. SEP then
      redis.call('ZREM', O .. 'parked:' .. field, unpack(tags))
      if redis.call('EXISTS', O .. 'parked:' .. field) == 0 then redis.call('HDEL', O .. 'parked', field) end
    end
  end
end
return messages
