-- How many jobs live, and which lists are foul. ARGV: P, now.
local total = redis.call('HLEN', P .. 'unacked')
for _, queue in ipairs(redis.call('SMEMBERS', O .. 'queues')) do
  total = total + (count(queue))
end
return {total, FOUL}
