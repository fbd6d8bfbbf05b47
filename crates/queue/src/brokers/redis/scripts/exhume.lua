-- Takes a dead letter away and, where a message is given, publishes it. ARGV: P, now, id, its queue, then list, id key,
-- value, ttl, message and unique key ('' for none). Answers whether there was one.
if redis.call('ZREM', O .. 'dead', ARGV[3]) == 0 then return 0 end
redis.call('HDEL', O .. 'letters', ARGV[3])
if redis.call('HINCRBY', O .. 'dead:counts', ARGV[4], -1) <= 0 then
  redis.call('HDEL', O .. 'dead:counts', ARGV[4])
end
if ARGV[5] and redis.call('SET', ARGV[6], ARGV[7], 'NX', 'EX', ARGV[8]) then
  redis.call('LPUSH', ARGV[5], ARGV[9])
  if ARGV[10] ~= '' then redis.call('SET', ARGV[10], ARGV[6], 'NX', 'EX', ARGV[8]) end
end
return 1
