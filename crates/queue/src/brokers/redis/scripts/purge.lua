-- Removes jobs that were shown and still wait. ARGV: P, now, queue, the list that they stood in or '', then their messages, or
-- their tags if they waited aside. Answers the places of those that went.
local queue, list = ARGV[3], ARGV[4]
local gone = {}
if list ~= '' then
  for index = 5, #ARGV do
    -- From the end: there the shown ones stand.
    if redis.call('LREM', list, -1, ARGV[index]) > 0 then gone[#gone + 1] = index - 5 end
  end
  return gone
end
local room, tags = O .. 'room:' .. queue, {}
for index = 5, #ARGV do
  if redis.call('HDEL', room, ARGV[index]) > 0 then
    gone[#gone + 1] = index - 5
    tags[#tags + 1] = ARGV[index]
  end
end
if #tags > 0 then
  redis.call('ZREM', O .. 'delayed:' .. queue, unpack(tags))
  for _, field in ipairs(redis.call('HKEYS', O .. 'parked')) do
    if string.sub(field, 1, #queue + 2) == queue .. SEP then
      redis.call('ZREM', O .. 'parked:' .. field, unpack(tags))
      if redis.call('EXISTS', O .. 'parked:' .. field) == 0 then redis.call('HDEL', O .. 'parked', field) end
    end
  end
end
return gone
