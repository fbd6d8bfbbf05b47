-- Shows jobs of a queue that do not run, a bounded number. ARGV: P, now, queue, at most, bytes at most. Answers the list that
-- they stand in, '' for those that wait aside; and of each its tag, '' in a list, and its message.
local queue, most, bytes_max = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local answer, bytes = {}, 0
local function show(tag, message)
  bytes = bytes + #message
  if #answer > 0 and bytes > bytes_max then return false end
  answer[#answer + 1] = {tag, message}
  return true
end
for lane = 1, #LANES do
  for step = 1, #STEPS do
    local list = P .. queue .. LANES[lane] .. STEPS[step]
    if length_of(list) > 0 then
      local waiting = redis.call('LRANGE', list, -most, -1)
      for index = #waiting, 1, -1 do
        if not show('', waiting[index]) then break end
      end
      return {list, answer}
    end
  end
end
local kept = redis.call('HRANDFIELD', O .. 'room:' .. queue, most, 'WITHVALUES')
for index = 1, #kept, 2 do
  if not show(kept[index], string.sub(kept[index + 1], string.find(kept[index + 1], '\n', 1, true) + 1)) then break end
end
return {'', answer}
