-- Takes ready jobs of the first queue that has any and leases them, in one step: nothing is ever between list and lease.
-- ARGV: P, now, session, may_run_suspect, nonce, then six of each queue: name, name as JSON, jobs_max, bytes_max, lease, lane.
local session, may_run_suspect, nonce = ARGV[3], ARGV[4] == '1', ARGV[5]
local mine = O .. 'held:' .. session
-- Jobs looked at in one go: bounds what a small limit of bytes pushes back.
local CHUNK_FIRST, CHUNK_MAX, SHRINK = 16, 128, 16

if redis.call('ZRANGEBYSCORE', mine, '-inf', NOW, 'LIMIT', 0, 1)[1] then
  return {NOW, 'expired'}
end

-- Deaths that a message saw. Text in a body has its quotes escaped or is base64: it cannot look like this.
local function deaths_of(message)
  if not string.find(message, '_deaths"', 1, true) then return 0, 0 end
  local alone = string.match(message, '"vigie_deaths"%s*:%s*(%d+)') or '0'
  local company = string.match(message, '"vigie_company_deaths"%s*:%s*(%d+)') or '0'
  return tonumber(alone), math.min(tonumber(company), 8)
end

local function limit_of(jobs_max, alone, company)
  if alone > 0 then return 1 end
  for _ = 1, company do jobs_max = math.floor(jobs_max / SHRINK) end
  return math.max(jobs_max, 1)
end

-- Shares out how many each lane gives: turns, as if one were taken from each after the other.
local function turns(lengths, first, want)
  local order = {}
  local given = {}
  local again = true
  while want > 0 and again do
    again = false
    for offset = 0, #LANES - 1 do
      local lane = (first + offset) % #LANES + 1
      local done = given[lane] or 0
      if want > 0 and done < lengths[lane] then
        given[lane] = done + 1
        order[#order + 1] = lane
        want = want - 1
        again = true
      end
    end
  end
  return order, given
end

local function pop(queue, step, first, want)
  local lengths, total = {}, 0
  for lane = 1, #LANES do
    lengths[lane] = length_of(P .. queue .. LANES[lane] .. STEPS[step])
    total = total + lengths[lane]
  end
  if total == 0 then return nil end
  local order, given = turns(lengths, first, want)
  local popped, next_of = {}, {}
  for lane, number in pairs(given) do
    popped[lane] = redis.call('RPOP', P .. queue .. LANES[lane] .. STEPS[step], number)
    next_of[lane] = 1
  end
  local jobs = {}
  for index, lane in ipairs(order) do
    jobs[index] = {popped[lane][next_of[lane]], lane, step}
    next_of[lane] = next_of[lane] + 1
  end
  return jobs
end

local function push_back(queue, jobs, from)
  for index = #jobs, from, -1 do
    local job = jobs[index]
    redis.call('RPUSH', P .. queue .. LANES[job[2]] .. STEPS[job[3]], job[1])
  end
end

-- Answers what was taken of a queue, and whether a suspect waits for other runs to end.
local function take(queue, jobs_max, bytes_max, first)
  local taken, bytes, limit = {}, 0, jobs_max
  local alone, company, is_suspect
  for step = 1, #STEPS do
    while #taken < limit do
      local mean = #taken > 0 and bytes / #taken or 0
      local fit = mean > 0 and math.floor((bytes_max - bytes) / mean) + 1 or CHUNK_FIRST
      local jobs = pop(queue, step, first, math.max(1, math.min(limit - #taken, CHUNK_MAX, fit)))
      if not jobs then break end
      for index, job in ipairs(jobs) do
        local a, c = deaths_of(job[1])
        if #taken == 0 then
          alone, company, limit = a, c, limit_of(jobs_max, a, c)
          is_suspect = a > 0 or (c > 0 and limit == 1)
          if is_suspect and not may_run_suspect then
            push_back(queue, jobs, index)
            return taken, true
          end
        elseif #taken >= limit or bytes + #job[1] > bytes_max or a ~= alone or c ~= company then
          push_back(queue, jobs, index)
          return taken, false, is_suspect, company
        end
        taken[#taken + 1] = job
        bytes = bytes + #job[1]
        first = job[2]
      end
    end
    if #taken >= limit then break end
  end
  return taken, false, is_suspect, company
end

-- Cuts out the tags, of plain characters only: whatever reads them takes them for text. What has none, or one that is in use (kombu gives copies of a fanned-out message one tag), gets ours.
-- A plain search first: a pattern would be tried at every byte of the body.
local function tag_of(message)
  local at = string.find(message, '"delivery_tag"', 1, true)
  return at and string.match(message, '^"delivery_tag"%s*:%s*"([%w%-_:.]+)"', at)
end

local function tags_of(taken)
  local tags, used = {}, {}
  for index, job in ipairs(taken) do
    tags[index] = tag_of(job[1]) or (nonce .. ':' .. index)
    if used[tags[index]] then tags[index] = nonce .. ':' .. index end
    used[tags[index]] = true
  end
  local scores = scores_of(tags)
  for index = 1, #tags do
    if scores[index] then tags[index] = nonce .. ':' .. index end
  end
  return tags
end

local function reserve(queue, queue_json, lease, taken)
  local tags = tags_of(taken)
  local until_ = string.format('%.6f', NOW_NUMBER + lease)
  local index_args, record_args, held_args = {}, {}, {}
  local answer = {}
  for index, job in ipairs(taken) do
    local message, tag = job[1], tags[index]
    local json = string.byte(message) == 123 and message or cjson.encode(message)
    local record = '[' .. json .. ', "", "' .. queue_json .. LANES_JSON[job[2]] .. '"]'
    local at = index * 2
    index_args[at - 1], index_args[at] = NOW, tag
    record_args[at - 1], record_args[at] = tag, record
    held_args[at - 1], held_args[at] = until_, tag .. SEP .. queue
    at = index * 3
    answer[at - 2], answer[at - 1], answer[at] = tag, LANES[job[2]] .. STEPS[job[3]], message
  end
  spread('ZADD', P .. 'unacked_index', index_args, 2)
  spread('HSET', P .. 'unacked', record_args, 2)
  spread('ZADD', mine, held_args, 2)
  return answer, tags
end

local due, paused = '', {}
for at = 6, #ARGV, 6 do
  local queue = ARGV[at]
  if redis.call('SISMEMBER', O .. 'paused', queue) == 1 then
    paused[#paused + 1] = queue
  else
    -- Before anything is popped: a server that takes no writes refuses here, and nothing is lost.
    redis.call('ZADD', O .. 'sessions', NOW, session)
    promote(queue)
    local taken, must_drain, is_suspect, company =
      take(queue, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 5]))
    if must_drain then return {NOW, 'drain'} end
    if #taken > 0 then
      local answer, tags = reserve(queue, ARGV[at + 1], tonumber(ARGV[at + 4]), taken)
      if is_suspect then redis.call('SET', O .. 'alone:' .. session, tags[1], 'EX', 86400) end
      return {NOW, 'taken', queue, is_suspect and company or -1, taken[#taken][2], answer}
    end
    local next_due = redis.call('ZRANGE', O .. 'delayed:' .. queue, 0, 0, 'WITHSCORES')[2]
    if next_due and (due == '' or tonumber(next_due) < tonumber(due)) then due = next_due end
  end
end
return {NOW, 'empty', due, paused}
