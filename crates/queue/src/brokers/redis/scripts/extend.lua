-- Extends leases where nobody else has taken the message meanwhile. ARGV: P, now, session, then of each: tag, member,
-- lease, number of scores, scores. Answers now and the places of those that were lost. The score is kombu's own time of
-- delivery, so that the sweeps of Celery's workers leave a long run alone.
local mine = O .. 'held:' .. ARGV[3]
local tags, items = {}, {}
local at = 4
while at <= #ARGV do
  local scores = tonumber(ARGV[at + 3])
  tags[#tags + 1] = ARGV[at]
  items[#items + 1] = at
  at = at + 4 + scores
end
local found = scores_of(tags)
local lost, index_args, held_args = {}, {}, {}
for index, first in ipairs(items) do
  local is_ours = false
  for offset = 1, tonumber(ARGV[first + 3]) do
    is_ours = is_ours or (found[index] and tonumber(found[index]) == tonumber(ARGV[first + 3 + offset]))
  end
  if is_ours then
    index_args[#index_args + 1] = NOW
    index_args[#index_args + 1] = tags[index]
    held_args[#held_args + 1] = string.format('%.6f', NOW_NUMBER + tonumber(ARGV[first + 2]))
    held_args[#held_args + 1] = ARGV[first + 1]
  else
    lost[#lost + 1] = index - 1
    redis.call('ZREM', mine, ARGV[first + 1])
  end
end
for first = 1, #index_args, 800 do
  local last = math.min(first + 799, #index_args)
  redis.call('ZADD', P .. 'unacked_index', 'XX', unpack(index_args, first, last))
  redis.call('ZADD', mine, 'XX', unpack(held_args, first, last))
end
redis.call('ZADD', O .. 'sessions', NOW, ARGV[3])
return {NOW, lost}
