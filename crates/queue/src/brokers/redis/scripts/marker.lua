-- Looks for the marker that every server we used has, and writes it where there is none. It is a random id and that of the
-- marker before it. ARGV: P, now, the id we knew ('' for none), a fresh one. Answers the id, since when the loss of what
-- was here is to be seen ('' for none), and whether it was us who noticed.
local marker = redis.call('GET', O .. 'marker')
local is_lost = false
if not marker then
  is_lost = ARGV[3] ~= ''
  marker = ARGV[4] .. ' ' .. ARGV[3]
  redis.call('SET', O .. 'marker', marker)
end
local cut = string.find(marker, ' ', 1, true) or #marker + 1
local id, before = string.sub(marker, 1, cut - 1), string.sub(marker, cut + 1)
is_lost = is_lost or (ARGV[3] ~= '' and ARGV[3] ~= id and ARGV[3] ~= before)
if is_lost then redis.call('SET', O .. 'emptied', NOW, 'NX') end
return {id, redis.call('GET', O .. 'emptied') or '', is_lost and 1 or 0}
