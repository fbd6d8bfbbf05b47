-- Ends leases. Each has a fence, the scores that its holder wrote last; where another score stands, somebody else has the
-- message and nothing is done. Otherwise its operations run, and the message leaves `unacked`, all in one step.
-- ARGV: P, now, session, whether its holder asks, then of each: tag, member, number of scores, scores, number of
-- operations, operations; an operation is its number of words and the words. Answers the places of those that were lost,
-- the groups that are whole, the places of those that meet a key of somebody else's, and how many followers did.
local session, is_holder = ARGV[3], ARGV[4] == '1'
local mine = O .. 'held:' .. session
local lost, whole, foul, unsent = {}, {}, {}, 0
local doomed = {}

-- What a script has done is not undone when a later call of it fails. So keys are looked at before the first write: an end
-- that would meet one of another type is left out, and nobody else pays for it.
local KINDS = {LPUSH = 'list', RPUSH = 'list', HSET = 'hash', HSETNX = 'hash', ZADD = 'zset', SADD = 'set'}
local kinds = {}
local function is_of(key, kind)
  if not kinds[key] then
    local found = redis.call('TYPE', key).ok
    kinds[key] = found == 'none' and kind or found
  end
  return kinds[key] == kind
end

local can_run = {}
function can_run.CALL(words)
  return not KINDS[words[2]] or is_of(words[3], KINDS[words[2]])
end
function can_run.BURY()
  return is_of(O .. 'letters', 'hash') and is_of(O .. 'dead', 'zset') and is_of(O .. 'dead:counts', 'hash')
    and is_of(O .. 'dead:names', 'hash') and is_of(O .. 'dead:apart', 'hash')
end
function can_run.CHORD(words)
  local key = words[2]
  return is_of(key .. '.j', 'zset') and is_of(key .. '.s', 'string') and is_of(key .. '.t', 'string')
    and is_of(O .. 'chords', 'hash')
end

local run = {}
function run.DEL(words)
  for index = 2, #words do doomed[#doomed + 1] = words[index] end
end
function run.CALL(words)
  redis.call(unpack(words, 2))
end
-- What follows a job is no reason for the job not to end.
function run.SEND(words)
  if is_of(words[2], 'list') then
    redis.call('LPUSH', words[2], words[3])
  else
    unsent = unsent + 1
  end
end
-- A success stays, whatever comes after it.
function run.RESULT(words)
  local key, seconds, text = words[2], words[3], words[4]
  local old = redis.pcall('GET', key)
  if type(old) == 'string' and (string.find(old, '"status":"SUCCESS"', 1, true) or string.find(old, '"status": "SUCCESS"', 1, true)) then
    return
  end
  redis.call('SETEX', key, seconds, text)
  redis.call('PUBLISH', key, text)
end
-- A job becomes a dead letter, in the place of an earlier one of its own. Another job of its id is told by the time since
-- when it waits, and keeps its letter: this one gets a name apart.
function run.BURY(words)
  local id, queue, letter, since = words[2], words[3], words[4], words[5]
  if redis.call('ZSCORE', O .. 'dead', id) then
    local known = redis.call('HGET', O .. 'dead:names', id)
    if not known or string.match(known, '^%d+') ~= since then id = id .. '~' .. since end
  end
  redis.call('HSET', O .. 'letters', id, letter)
  redis.call('HSET', O .. 'dead:names', id, since .. ' ' .. queue)
  if redis.call('ZADD', O .. 'dead', NOW, id) == 1 then
    redis.call('HINCRBY', O .. 'dead:counts', queue, 1)
    if id ~= words[2] then redis.call('HINCRBY', O .. 'dead:apart', words[2], 1) end
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
local at = 5
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
local function is_ours(index, item)
  for _, score in ipairs(item.scores) do
    if found[index] and tonumber(found[index]) == score then return true end
  end
  return false
end
-- A lease that its holder renewed while somebody meant to free it stays in the holder's books.
local function is_renewed(item)
  local until_ = not is_holder and redis.call('ZSCORE', mine, item.member)
  return until_ and tonumber(until_) > NOW_NUMBER
end
for index, item in ipairs(items) do
  item.is_ours = is_ours(index, item)
  for _, words in ipairs(item.operations) do
    local check = item.is_ours and can_run[words[1]]
    item.is_foul = item.is_foul or (check and not check(words))
  end
end
for index, item in ipairs(items) do
  if item.is_foul then
    foul[#foul + 1] = index - 1
  elseif item.is_ours then
    local writes = false
    for _, words in ipairs(item.operations) do
      run[words[1]](words)
      writes = writes or words[1] ~= 'DEL'
    end
    -- Whose operations have written leaves at once: were a later one to fail, they would be done again.
    if writes then
      redis.call('HDEL', P .. 'unacked', item.tag)
      redis.call('ZREM', P .. 'unacked_index', item.tag)
    end
    over[#over + 1] = item.tag
    members[#members + 1] = item.member
  else
    lost[#lost + 1] = index - 1
    if not is_renewed(item) then members[#members + 1] = item.member end
  end
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
return {lost, whole, foul, unsent}
