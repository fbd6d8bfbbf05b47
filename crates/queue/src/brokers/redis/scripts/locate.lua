-- Where a job is. ARGV: P, now, id.
local held = redis.call('GET', O .. 'id:' .. ARGV[3])
if held then
  local cut = string.find(held, ' ', 1, true)
  local tag, queue = string.sub(held, 1, cut - 1), string.sub(held, cut + 1)
  if redis.call('ZSCORE', P .. 'unacked_index', tag) then return 'leased' end
  if redis.call('ZSCORE', O .. 'delayed:' .. queue, tag) then return 'delayed' end
  if redis.call('HEXISTS', O .. 'room:' .. queue, tag) == 1 then return 'parked' end
  return 'ready'
end
if redis.call('ZSCORE', O .. 'dead', ARGV[3]) or redis.call('HEXISTS', O .. 'dead:apart', ARGV[3]) == 1 then return 'dead' end
return ''
