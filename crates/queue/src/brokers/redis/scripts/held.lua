-- Tells what a session holds, all of it or what has expired, a bounded number. ARGV: P, now, session, all, at most, and
-- for how long a session must be silent so that all of it is meant: it may have spoken since it was looked at.
-- Answers now, the marked tag, how much it holds, and of each: member, score, record.
local mine = O .. 'held:' .. ARGV[3]
if ARGV[4] == '1' then
  local heard = redis.call('ZSCORE', O .. 'sessions', ARGV[3])
  if heard and tonumber(heard) > NOW_NUMBER - tonumber(ARGV[6]) then return {NOW, '', 0} end
end
local last = ARGV[4] == '1' and '+inf' or NOW
local members = redis.call('ZRANGEBYSCORE', mine, '-inf', last, 'LIMIT', 0, ARGV[5])
local held = redis.call('ZCARD', mine)
if #members == 0 then
  if ARGV[4] == '1' then
    redis.call('ZREM', O .. 'sessions', ARGV[3])
    redis.call('DEL', O .. 'alone:' .. ARGV[3])
  end
  return {NOW, '', held}
end
local tags = {}
for index, member in ipairs(members) do
  tags[index] = string.sub(member, 1, string.find(member, SEP, 1, true) - 1)
end
local scores, records = scores_of(tags), redis.call('HMGET', P .. 'unacked', unpack(tags))
local answer = {NOW, redis.call('GET', O .. 'alone:' .. ARGV[3]) or '', held}
for index, member in ipairs(members) do
  answer[#answer + 1] = member
  answer[#answer + 1] = scores[index] or ''
  answer[#answer + 1] = records[index] or ''
end
return answer
