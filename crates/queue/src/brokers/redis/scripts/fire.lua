-- Publishes the job of an occurrence unless this or a later one was fired. ARGV: P, now, entry, scheduled (microseconds),
-- cursor, then what keeps the job: id key, queue, seat, delay, tag, message, ttl. Answers 1 if it was fired now.
local cursor = redis.call('HGET', O .. 'cursors', ARGV[3])
if cursor and tonumber(string.match(cursor, '^(%-?%d+) ')) >= tonumber(ARGV[4]) then return 0 end
local id_key, queue, seat, delay, tag, message = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10], ARGV[11]
local kind = is_foul(P .. queue .. seat)
if kind then return redis.error_reply("WRONGTYPE the key '" .. P .. queue .. seat .. "' holds a " .. kind .. ', and a queue needs a list there') end
redis.call('HSET', O .. 'cursors', ARGV[3], ARGV[4] .. ' ' .. ARGV[5])
redis.call('SADD', O .. 'queues', queue)
if redis.call('SET', id_key, tag .. ' ' .. queue, 'NX', 'EX', ARGV[12]) then
  if delay > 0 then
    redis.call('HSET', O .. 'room:' .. queue, tag, seat .. '\n' .. message)
    redis.call('ZADD', O .. 'delayed:' .. queue, string.format('%.6f', NOW_NUMBER + delay), tag)
  else
    redis.call('LPUSH', P .. queue .. seat, message)
  end
end
return 1
