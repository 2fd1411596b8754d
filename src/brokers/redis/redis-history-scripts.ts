import { type RedisScript, redisScript } from './redis-client.ts';

/*
 * KEYS[1], a hash: `epoch`, `length` of the stream, `removed`: the offset of the newest message that was removed, at first
 * 0, and by id the offset of each message that is kept.
 * KEYS[2], a stream: n, the nonce; t or b, text or bytes; x, the field of the hash that has its offset.
 *
 * An offset is the id of an entry and the nonce of whoever appended it. The nonce tells an entry from another that has got
 * the same id after Redis was rolled back, from the clock of another machine.
 */

/** Where the two do not agree, one was lost: what is left belongs to a new history. ARGV[1]: its epoch. */
const BEGIN = `
local meta, stream = KEYS[1], KEYS[2]
local known = redis.call('HMGET', meta, 'epoch', 'removed', 'length')
local epoch, removed = known[1], known[2]
local length = redis.call('XLEN', stream)
if not epoch or tonumber(known[3]) ~= length then
  epoch, removed = ARGV[1], '?'
  if length == 0 then removed = '0' end
  redis.call('DEL', meta)
  redis.call('HSET', meta, 'epoch', epoch, 'removed', removed, 'length', length)
end
local function offset(entry)
  return entry[1] .. '.' .. entry[2][2]
end
`;

/** ARGV: epoch, messages, ttl, nonce, t or b, data, field of the hash. Returns epoch and offset. */
export const appendScript: RedisScript = redisScript(`${BEGIN}
local most, ttl, nonce, field = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[7]
local earlier = redis.call('HGET', meta, field)
if earlier then
  return { epoch, earlier }
end
local id = redis.call('XADD', stream, '*', 'n', nonce, ARGV[5], ARGV[6], 'x', field)
local position = id .. '.' .. nonce
length = length + 1
if length > most then
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', length - most)) do
    redis.call('HDEL', meta, entry[2][6])
    removed = offset(entry)
  end
  redis.call('XTRIM', stream, 'MAXLEN', most)
  length = most
end
redis.call('HSET', meta, field, position, 'removed', removed, 'length', length)
redis.call('PEXPIRE', meta, ttl)
redis.call('PEXPIRE', stream, ttl)
return { epoch, position }
`);

/**
 * ARGV: epoch, ttl, then `last` and how many (empty for all), or `after` and an epoch, an offset and its id. Returns epoch,
 * whether it is complete, the offset behind the last message, and entries.
 */
export const readScript: RedisScript = redisScript(`${BEGIN}
if length == 0 then
  redis.call('PEXPIRE', meta, ARGV[2])
end
local entries, complete
if ARGV[3] == 'after' and ARGV[4] == epoch and ARGV[5] ~= removed and ARGV[6] ~= '' then
  entries = redis.call('XRANGE', stream, ARGV[6], '+')
  complete = entries[1] and offset(entries[1]) == ARGV[5]
  if complete then
    table.remove(entries, 1)
  else
    entries = redis.call('XRANGE', stream, '-', '+')
  end
elseif ARGV[3] == 'after' then
  entries = redis.call('XRANGE', stream, '-', '+')
  complete = ARGV[4] == epoch and ARGV[5] == removed
elseif ARGV[4] == '' then
  entries = redis.call('XRANGE', stream, '-', '+')
  complete = removed == '0'
else
  local limit = math.min(tonumber(ARGV[4]), length)
  local newest = {}
  if limit > 0 then
    newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', limit)
  end
  entries = {}
  for i = #newest, 1, -1 do
    table.insert(entries, newest[i])
  end
  complete = removed == '0' and #entries == length
end
local last = removed
if length > 0 then
  last = offset(entries[#entries] or redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1])
end
return { epoch, complete and '1' or '0', last, entries }
`);
