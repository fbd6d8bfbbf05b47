-- Keeps the jobs of one request, all or none. ARGV: P, now, jobs_max (0: far from it), queues_max, then nine of each job.
-- Answers 1 for a job that was kept, 0 for one that lives already; {-1}, {-2}, {-3} say which bound is reached.
local jobs_max, queues_max = tonumber(ARGV[3]), tonumber(ARGV[4])
local answers, fresh, seen, queues = {}, {}, {}, {}
local total, shares

local function count_all()
  total, shares = redis.call('HLEN', P .. 'unacked'), {}
  for _, queue in ipairs(redis.call('SMEMBERS', O .. 'queues')) do
    local number, lanes = count(queue)
    total = total + number
    for lane, length in pairs(lanes) do
      shares[queue .. lane] = length
    end
  end
end

-- Answers whether a job lives already; one of this very request that was sent twice counts as kept now.
local function lives(id_key, unique_key, tag)
  local held = seen[id_key] or redis.call('GET', id_key)
  if held then
    return string.sub(held, 1, #tag + 1) == tag .. ' ' and 1 or 0
  end
  if unique_key ~= '' and (seen[unique_key] or redis.call('EXISTS', unique_key) == 1) then
    return 0
  end
  return nil
end

for at = 5, #ARGV, 9 do
  local id_key, unique_key, queue, lane, tag = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 6]
  local answer = lives(id_key, unique_key, tag)
  if not answer then
    if jobs_max > 0 then
      if not total then count_all() end
      local share = shares[queue .. lane] or 0
      if total >= jobs_max then return {-1} end
      if share ~= total and share >= math.floor(jobs_max / 2) then return {-2} end
      total = total + 1
      shares[queue .. lane] = share + 1
    end
    -- Its like in this request is one that lives already.
    seen[id_key] = '-'
    if unique_key ~= '' then seen[unique_key] = '-' end
    fresh[#fresh + 1] = at
    queues[queue] = true
    answer = 1
  end
  answers[#answers + 1] = answer
end

for queue in pairs(queues) do
  if redis.call('SISMEMBER', O .. 'queues', queue) == 0 then
    if redis.call('SCARD', O .. 'queues') >= queues_max then return {-3} end
    redis.call('SADD', O .. 'queues', queue)
  end
end

-- Before the first write: a request is kept whole or not at all.
for _, at in ipairs(fresh) do
  local list = P .. ARGV[at + 2] .. ARGV[at + 3] .. ARGV[at + 4]
  local kind = is_foul(list)
  if kind then return redis.error_reply("WRONGTYPE the key '" .. list .. "' holds a " .. kind .. ', and a queue needs a list there') end
end

local lists, order = {}, {}
for _, at in ipairs(fresh) do
  local id_key, unique_key, queue, lane, step = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local delay, tag, message, ttl = tonumber(ARGV[at + 5]), ARGV[at + 6], ARGV[at + 7], ARGV[at + 8]
  redis.call('SET', id_key, tag .. ' ' .. queue, 'EX', ttl)
  if unique_key ~= '' then
    redis.call('SET', unique_key, id_key, 'EX', ttl)
  end
  if delay > 0 then
    redis.call('HSET', O .. 'room:' .. queue, tag, lane .. step .. '\n' .. message)
    redis.call('ZADD', O .. 'delayed:' .. queue, string.format('%.6f', NOW_NUMBER + delay), tag)
  else
    local list = P .. queue .. lane .. step
    if not lists[list] then
      lists[list] = {}
      order[#order + 1] = list
    end
    table.insert(lists[list], message)
  end
end
for _, list in ipairs(order) do
  spread('LPUSH', list, lists[list], 1)
end
return answers
