-- Takes a dead letter away and, where a message is given, publishes it. ARGV: P, now, id, its queue, then list, id key,
-- value, ttl and message. Answers whether there was one.
if redis.call('ZREM', O .. 'dead', ARGV[3]) == 0 then return 0 end
redis.call('HDEL', O .. 'letters', ARGV[3])
if redis.call('HINCRBY', O .. 'dead:counts', ARGV[4], -1) <= 0 then
  redis.call('HDEL', O .. 'dead:counts', ARGV[4])
end
if ARGV[5] and redis.call('SET', ARGV[6], ARGV[7], 'NX', 'EX', ARGV[8]) then
  redis.call('LPUSH', ARGV[5], ARGV[9])
end
return 1
