-- Makes due jobs of every queue ready. ARGV: P, now, rounds at most. Answers the sessions and when each was last heard.
for _, queue in ipairs(redis.call('SMEMBERS', O .. 'queues')) do
  for _ = 1, tonumber(ARGV[3]) do
    if promote(queue) == 0 then break end
  end
end
return {NOW, redis.call('ZRANGE', O .. 'sessions', 0, -1, 'WITHSCORES')}
