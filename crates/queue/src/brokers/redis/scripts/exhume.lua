-- Takes a dead letter away and, where a message is given, publishes it. ARGV: P, now, id, its queue, its name, then list, id
-- key, value, ttl, message and unique key ('' for none). Answers 1 if there was one, and of no other job; 2 and 3 where a job
-- of its id or its unique key lives: it stays then.
if not redis.call('ZSCORE', O .. 'dead', ARGV[3]) then return 0 end
local name = redis.call('HGET', O .. 'dead:names', ARGV[3])
if name and name ~= ARGV[5] then return 0 end
if ARGV[6] then
  if redis.call('EXISTS', ARGV[7]) == 1 then return 2 end
  if ARGV[11] ~= '' and redis.call('EXISTS', ARGV[11]) == 1 then return 3 end
end
redis.call('ZREM', O .. 'dead', ARGV[3])
redis.call('HDEL', O .. 'letters', ARGV[3])
redis.call('HDEL', O .. 'dead:names', ARGV[3])
-- Of a job whose id was another's.
local id = string.match(ARGV[3], '^(.*)~%d+$')
if id and redis.call('HEXISTS', O .. 'dead:apart', id) == 1 and redis.call('HINCRBY', O .. 'dead:apart', id, -1) <= 0 then
  redis.call('HDEL', O .. 'dead:apart', id)
end
if redis.call('HINCRBY', O .. 'dead:counts', ARGV[4], -1) <= 0 then
  redis.call('HDEL', O .. 'dead:counts', ARGV[4])
end
if ARGV[6] then
  redis.call('SET', ARGV[7], ARGV[8], 'EX', ARGV[9])
  redis.call('LPUSH', ARGV[6], ARGV[10])
  if ARGV[11] ~= '' then redis.call('SET', ARGV[11], ARGV[7], 'EX', ARGV[9]) end
end
return 1
