import { type RedisScript, redisScript } from './redis-client.ts';

/*
 * KEYS[1], a hash: by member a number, which is the order of their coming, and the nodes that have it, parted by spaces.
 * KEYS[2], a hash: by node, when its lease expires by the clock of Redis, and the version of what it has entered; `+`, the
 * last number of a member; `#`, how many members there are.
 */

const BEGIN = `
local members, nodes = KEYS[1], KEYS[2]
-- Where the two do not agree, one was lost. The nodes find their versions missing, and enter everyone anew.
if redis.call('HLEN', members) ~= tonumber(redis.call('HGET', nodes, '#') or '0') then
  redis.call('DEL', members, nodes)
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function whole(number)
  return string.format('%.0f', number)
end
local function count()
  redis.call('HSET', nodes, '#', redis.call('HLEN', members))
end

-- The nodes of this topic: which of them live, and whether others do not.
local live, dead = {}, {}
local function look(own)
  local all = redis.call('HGETALL', nodes)
  for i = 1, #all, 2 do
    local expiry = string.match(all[i + 1], '^(%d+) ')
    if expiry and (all[i] == own or tonumber(expiry) > now) then
      live[all[i]] = true
    elseif expiry then
      table.insert(dead, all[i])
    end
  end
end

local function inOrder(list)
  table.sort(list, function(a, b) return a[1] < b[1] end)
  for i, entry in ipairs(list) do
    list[i] = entry[2]
  end
  return list
end

-- All members with a node that lives. Takes the others out where it shall, and returns them too.
local function sweep(takesOut)
  local here, gone = {}, {}
  local all = redis.call('HGETALL', members)
  for i = 1, #all, 2 do
    local member, value = all[i], all[i + 1]
    local number, kept = string.match(value, '^%d+'), ''
    for node in string.gmatch(value, ' (%w+)') do
      if live[node] then
        kept = kept .. ' ' .. node
      end
    end
    table.insert(kept == '' and gone or here, { tonumber(number), member })
    if takesOut and kept == '' then
      redis.call('HDEL', members, member)
    elseif takesOut and number .. kept ~= value then
      redis.call('HSET', members, member, number .. kept)
    end
  end
  if takesOut then
    for _, node in ipairs(dead) do
      redis.call('HDEL', nodes, node)
    end
    count()
  end
  return inOrder(here), inOrder(gone)
end
`;

/**
 * ARGV: node, ttl, the version that the node knows of, the next one, whether it has members afterwards, how many it has
 * before (empty where it does not assert them, but takes them to be there), those, and then each member that it enters,
 * behind `+`, or that leaves, behind `-`. Numbers are decimal and truths 1 or 0.
 *
 * Returns 0 where the version is not there, and nothing was done; or 1, for each that enters whether it is new and for
 * each that leaves whether it is gone, and who was taken out with nodes that are gone.
 */
export const applyScript: RedisScript = redisScript(`${BEGIN}
local node, ttl, known, version, stays = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local stored = string.match(redis.call('HGET', nodes, node) or '', ' (%d+)$') or ''
local asserted = tonumber(ARGV[6])
if asserted and stored ~= '' and tonumber(stored) >= tonumber(version) then
  return { '0' }
end
if not asserted and stored ~= known then
  return { '0' }
end

look(node)
live[node] = true
local function enter(member)
  local value = redis.call('HGET', members, member)
  if not value then
    value = tostring(redis.call('HINCRBY', nodes, '+', 1)) .. ' ' .. node
    redis.call('HSET', members, member, value)
    return '1'
  end
  if not string.find(value .. ' ', ' ' .. node .. ' ', 1, true) then
    redis.call('HSET', members, member, value .. ' ' .. node)
  end
  return '0'
end
local function leave(member)
  local value = redis.call('HGET', members, member)
  local first, last = string.find((value or '') .. ' ', ' ' .. node .. ' ', 1, true)
  if not first then
    return '0'
  end
  value = string.sub(value, 1, first - 1) .. string.sub(value, last)
  if string.find(value, ' ', 1, true) then
    redis.call('HSET', members, member, value)
    return '0'
  end
  redis.call('HDEL', members, member)
  return '1'
end

if asserted then
  local own = {}
  for i = 7, 6 + asserted do
    own[ARGV[i]] = true
  end
  for _, member in ipairs(redis.call('HKEYS', members)) do
    if not own[member] then
      leave(member)
    end
  end
  for i = 7, 6 + asserted do
    enter(ARGV[i])
  end
end
local gone = {}
if #dead > 0 then
  gone = select(2, sweep(true))
end
local answers = {}
for i = 7 + (asserted or 0), #ARGV do
  local member = string.sub(ARGV[i], 2)
  table.insert(answers, (string.sub(ARGV[i], 1, 1) == '+' and enter or leave)(member))
end

if redis.call('HLEN', members) == 0 then
  redis.call('DEL', members, nodes)
else
  if stays == '1' then
    redis.call('HSET', nodes, node, whole(now + ttl) .. ' ' .. version)
  else
    redis.call('HDEL', nodes, node)
  end
  count()
  ttl = math.max(ttl, redis.call('PTTL', nodes))
  redis.call('PEXPIRE', members, ttl)
  redis.call('PEXPIRE', nodes, ttl)
end
return { '1', answers, gone }
`);

/**
 * ARGV: node, and whether it has members, so that it may take out who is gone and tell of them. Returns who is here, and
 * who was taken out.
 */
export const membersScript: RedisScript = redisScript(`${BEGIN}
look(ARGV[1])
local takesOut = ARGV[2] == '1' and #dead > 0
local here, gone = sweep(takesOut)
if not takesOut then
  gone = {}
elseif #here == 0 then
  redis.call('DEL', members, nodes)
end
return { here, gone }
`);
