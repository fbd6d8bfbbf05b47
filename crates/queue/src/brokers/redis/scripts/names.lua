-- Mends the names of dead letters, which a process of an earlier release neither writes nor takes away. ARGV: P, now, then
-- pairs of an id and its name ('' to look only).
for at = 3, #ARGV, 2 do
  local id, name = ARGV[at], ARGV[at + 1]
  if not redis.call('ZSCORE', O .. 'dead', id) then
    redis.call('HDEL', O .. 'dead:names', id)
  elseif name ~= '' then
    redis.call('HSETNX', O .. 'dead:names', id, name)
  end
end
return 0
