-- What all scripts share. P is the prefix of kombu's keys, O that of ours.
local SEP = '\6\22'
local STEPS = {'', SEP .. '3', SEP .. '6', SEP .. '9'}
-- The plain list first: there Celery's own clients push.
local LANES = {''}
local LANES_JSON = {''}
for lane = 0, 7 do
  LANES[#LANES + 1] = SEP .. 'f' .. lane
  LANES_JSON[#LANES_JSON + 1] = '\\u0006\\u0016f' .. lane
end
-- Lua's stack holds about 8000 values; no call spreads more than this.
local SPREAD_MAX = 900

local P = ARGV[1]
local O = P .. 'vigie:'
local NOW = ARGV[2]
if NOW == '' then
  local time = redis.call('TIME')
  NOW = string.format('%d.%06d', time[1], time[2])
end
local NOW_NUMBER = tonumber(NOW)

-- Runs a command over a long list of arguments, in pieces whose length is a multiple of `by`.
local function spread(command, key, values, by)
  local piece = SPREAD_MAX - SPREAD_MAX % by
  for first = 1, #values, piece do
    redis.call(command, key, unpack(values, first, math.min(first + piece - 1, #values)))
  end
end

local function scores_of(tags)
  local scores = {}
  for first = 1, #tags, SPREAD_MAX do
    local some = redis.call('ZMSCORE', P .. 'unacked_index', unpack(tags, first, math.min(first + SPREAD_MAX - 1, #tags)))
    for index = 1, #some do
      scores[first + index - 1] = some[index]
    end
  end
  return scores
end

-- Lists of queues that somebody else uses for something else: they hold no job, and stop no other queue.
local FOUL = {}

local function length_of(list)
  local length = redis.pcall('LLEN', list)
  if type(length) == 'number' then return length end
  FOUL[#FOUL + 1] = list
  return 0
end

local function is_foul(list)
  local kind = redis.call('TYPE', list).ok
  return kind ~= 'list' and kind ~= 'none' and kind
end

-- Puts messages that waited aside into their lists again, the first of them first. Each is `seat\nmessage`. Answers how
-- many; none where a list is foul.
local function seat_again(queue, tags)
  local kept = redis.call('HMGET', O .. 'room:' .. queue, unpack(tags))
  local lists, moved = {}, 0
  for index = 1, #tags do
    local one = kept[index]
    if one then
      local cut = string.find(one, '\n', 1, true)
      local list = P .. queue .. string.sub(one, 1, cut - 1)
      lists[list] = lists[list] or {}
      table.insert(lists[list], string.sub(one, cut + 1))
      moved = moved + 1
    end
  end
  for list in pairs(lists) do
    if is_foul(list) then return 0 end
  end
  for list, messages in pairs(lists) do
    spread('LPUSH', list, messages, 1)
  end
  redis.call('HDEL', O .. 'room:' .. queue, unpack(tags))
  return moved
end

local function is_fouled(queue)
  for lane = 1, #LANES do
    for step = 1, #STEPS do
      if is_foul(P .. queue .. LANES[lane] .. STEPS[step]) then return true end
    end
  end
  return false
end

-- Makes jobs ready whose time has come; a bounded number, and says when the next is due.
local function promote(queue)
  local due = redis.call('ZRANGEBYSCORE', O .. 'delayed:' .. queue, '-inf', NOW, 'LIMIT', 0, 200)
  if #due == 0 or (seat_again(queue, due) == 0 and is_fouled(queue)) then return 0 end
  redis.call('ZREM', O .. 'delayed:' .. queue, unpack(due))
  return #due
end

-- Counts what a queue holds, and each of its lanes.
local function count(queue)
  local total, lanes = 0, {}
  for lane = 1, #LANES do
    local length = 0
    for step = 1, #STEPS do
      length = length + length_of(P .. queue .. LANES[lane] .. STEPS[step])
    end
    lanes[LANES[lane]] = length
    total = total + length
  end
  return total + redis.call('HLEN', O .. 'room:' .. queue), lanes
end
