-- Takes a dead letter away and, where a message is given, publishes it. ARGV: P, now, id, its queue, then list, id key,
-- value, ttl, message and unique key ('' for none). Answers 1 if there was one; 2 and 3 where a job of its id or its unique
-- key lives: it stays then.
if not redis.call('ZSCORE', O .. 'dead', ARGV[3]) then return 0 end
if ARGV[5] then
  if redis.call('EXISTS', ARGV[6]) == 1 then return 2 end
  if ARGV[10] ~= '' and redis.call('EXISTS', ARGV[10]) == 1 then return 3 end
end
redis.call('ZREM', O .. 'dead', ARGV[3])
redis.call('HDEL', O .. 'letters', ARGV[3])
if redis.call('HINCRBY', O .. 'dead:counts', ARGV[4], -1) <= 0 then
  redis.call('HDEL', O .. 'dead:counts', ARGV[4])
end
if ARGV[5] then
  redis.call('SET', ARGV[6], ARGV[7], 'EX', ARGV[8])
  redis.call('LPUSH', ARGV[5], ARGV[9])
  if ARGV[10] ~= '' then redis.call('SET', ARGV[10], ARGV[6], 'EX', ARGV[8]) end
end
return 1
