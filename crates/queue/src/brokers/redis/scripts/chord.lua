-- Ends a whole chord: its keys go and what follows is pushed, once. ARGV: P, now, key, then of each job: list, message.
if redis.call('HDEL', O .. 'chords', ARGV[3]) == 0 then return 0 end
redis.call('UNLINK', ARGV[3] .. '.j', ARGV[3] .. '.t', ARGV[3] .. '.s')
for at = 4, #ARGV, 2 do
  redis.call('LPUSH', ARGV[at], ARGV[at + 1])
end
return 1
