-- Ends leases. Each has a fence, the scores that its holder wrote last; where another score stands, somebody else has the
-- message and nothing is done. Otherwise its operations run, and the message leaves `unacked`, all in one step.
-- ARGV: P, now, session, then of each: tag, member, number of scores, scores, number of operations, operations; an
-- operation is its number of words and the words. Answers the places of those that were lost and the groups that are whole.
local session = ARGV[3]
local mine = O .. 'held:' .. session
local lost, whole = {}, {}
local doomed = {}

local run = {}
function run.DEL(words)
  for index = 2, #words do doomed[#doomed + 1] = words[index] end
end
function run.CALL(words)
  redis.call(unpack(words, 2))
end
-- A success stays, whatever comes after it.
function run.RESULT(words)
  local key, seconds, text = words[2], words[3], words[4]
  local old = redis.call('GET', key)
  if old and (string.find(old, '"status":"SUCCESS"', 1, true) or string.find(old, '"status": "SUCCESS"', 1, true)) then
    return
  end
  redis.call('SETEX', key, seconds, text)
  redis.call('PUBLISH', key, text)
end
-- A job becomes a dead letter; an earlier one of the same id is replaced.
function run.BURY(words)
  local id, queue, letter = words[2], words[3], words[4]
  redis.call('HSET', O .. 'letters', id, letter)
  if redis.call('ZADD', O .. 'dead', NOW, id) == 1 then
    redis.call('HINCRBY', O .. 'dead:counts', queue, 1)
  end
end
-- A part of a chord has ended; the last makes the group whole.
function run.CHORD(words)
  local key, index, part, size, body = words[2], words[3], words[4], words[5], words[6]
  redis.call('ZADD', key .. '.j', index, part)
  redis.call('EXPIRE', key .. '.j', 86400)
  local known = tonumber(redis.call('GET', key .. '.s') or size)
  local more = tonumber(redis.call('GET', key .. '.t') or '0')
  if known and redis.call('ZCARD', key .. '.j') >= known + more then
    redis.call('HSET', O .. 'chords', key, body)
    whole[#whole + 1] = key
  end
end

local items, tags = {}, {}
local at = 4
while at <= #ARGV do
  local item = {tag = ARGV[at], member = ARGV[at + 1], scores = {}, operations = {}}
  local scores = tonumber(ARGV[at + 2])
  for offset = 1, scores do item.scores[offset] = tonumber(ARGV[at + 2 + offset]) end
  at = at + 3 + scores
  local operations = tonumber(ARGV[at])
  at = at + 1
  for index = 1, operations do
    local words = tonumber(ARGV[at])
    item.operations[index] = {unpack(ARGV, at + 1, at + words)}
    at = at + 1 + words
  end
  items[#items + 1] = item
  tags[#tags + 1] = item.tag
end

local found = scores_of(tags)
local over, members = {}, {}
for index, item in ipairs(items) do
  local is_ours = false
  for _, score in ipairs(item.scores) do
    is_ours = is_ours or (found[index] and tonumber(found[index]) == score)
  end
  if is_ours then
    for _, words in ipairs(item.operations) do run[words[1]](words) end
    over[#over + 1] = item.tag
  else
    lost[#lost + 1] = index - 1
  end
  members[#members + 1] = item.member
end
spread('HDEL', P .. 'unacked', over, 1)
spread('ZREM', P .. 'unacked_index', over, 1)
spread('ZREM', mine, members, 1)
if #doomed > 0 then
  for first = 1, #doomed, SPREAD_MAX do
    redis.call('UNLINK', unpack(doomed, first, math.min(first + SPREAD_MAX - 1, #doomed)))
  end
end
local marked = redis.call('GET', O .. 'alone:' .. session)
if marked then
  for _, tag in ipairs(over) do
    if tag == marked then redis.call('DEL', O .. 'alone:' .. session) end
  end
end
return {lost, whole}
