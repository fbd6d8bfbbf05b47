-- Keeps the names of jobs that live: their ids and unique keys last another while. A bounded number of one list, from its
-- end, or of one hash. ARGV: P, now, kind ('list' or 'hash'), key, cursor, how many, seconds. Answers the next cursor, '' at
-- the end, and how many were seen.
local kind, key, cursor, many, seconds = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

-- The text behind a name. Names inside a text have their quotes escaped, and bodies are base64: neither looks like this.
local function text_of(message, name)
  local at = string.find(message, name, 1, true)
  while at do
    local first = string.match(message, '^%s*:%s*()"', at + #name)
    if first then
      local last = first
      repeat
        last = string.find(message, '"', last + 1, true)
        if not last then return nil end
        local slashes = 0
        while string.byte(message, last - 1 - slashes) == 92 do slashes = slashes + 1 end
      until slashes % 2 == 0
      local is_read, read = pcall(cjson.decode, '[' .. string.sub(message, first, last) .. ']')
      return is_read and read[1] or nil
    end
    at = string.find(message, name, at + 1, true)
  end
end

-- Never shortened: a job with a long delay has more already.
local function lengthen(name)
  local left = redis.call('TTL', name)
  if left >= 0 and left < seconds then redis.call('EXPIRE', name, seconds) end
end

local function renew(message)
  local id = text_of(message, '"id"')
  if not id then return end
  local id_key = O .. 'id:' .. id
  lengthen(id_key)
  if not string.find(message, '"vigie_unique"', 1, true) then return end
  local unique = text_of(message, '"vigie_unique"')
  if unique and redis.call('GET', O .. 'unique:' .. unique) == id_key then lengthen(O .. 'unique:' .. unique) end
end

if redis.call('TYPE', key).ok ~= kind then return {'', 0} end
if kind == 'list' then
  local from = tonumber(cursor)
  local messages = redis.call('LRANGE', key, -(from + many), -(from + 1))
  for _, message in ipairs(messages) do renew(message) end
  return {#messages < many and '' or string.format('%d', from + many), #messages}
end
local scanned = redis.call('HSCAN', key, cursor, 'COUNT', many)
for at = 2, #scanned[2], 2 do renew(scanned[2][at]) end
return {scanned[1] == '0' and '' or scanned[1], #scanned[2] / 2}
