-- One change of the record of a token: the same as TokenRecord in src/credential/token_record.rs. A test compares the
-- two by random calls. Times are microseconds. Each answer is its kind, and values.
local key, channel, op, now, call = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), redis.call

local function whole(number) return string.format('%.0f', number) end
-- 0, unless a test has a time of its own.
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end

local r = call('HMGET', key, 'generation', 'token', 'owner', 'until', 'length', 'fence')
-- Empty, once the token or the lock is given up: one HSET makes a whole change, whatever the user may not do.
local generation, token, owner = tonumber(r[1] or 0), r[2] or '', r[3] or ''
local ends, length, fence = tonumber(r[4] or 0), tonumber(r[5] or 0), tonumber(r[6] or 0)

-- A full server accepts no new key; a script that has removed something may go on, and a token must not be lost.
local function set(...)
  call('DEL', key .. '/none')
  call('HSET', key, ...)
end
-- Only saves time: a user without the permission for the channel is served all the same.
local function nudge() redis.pcall('PUBLISH', channel, op) end

local function stored(kind)
  if token ~= '' then return {kind, whole(generation), token} end
  return {kind, whole(generation)}
end
local function save(new)
  -- A record that was lost, and begins anew, repeats no generation.
  generation = math.max(generation + 1, now)
  set('generation', whole(generation), 'token', new or '')
  nudge()
  return {'done', whole(generation)}
end
local function hold(by, time)
  set('owner', by, 'until', whole(now + time), 'length', whole(time), 'fence', whole(fence))
end
local function is_of(by, at) return owner == by and fence == tonumber(at) end

if op == 'read' then return stored('stored') end
if op == 'save' then return save(ARGV[4]) end
if op == 'replace' then
  if tonumber(ARGV[4]) ~= generation then return stored('outdated') end
  return save(ARGV[5])
end
if op == 'lock' then
  local by, time, kind = ARGV[4], tonumber(ARGV[5]), 'granted'
  if owner ~= '' then
    -- A clock that was set back makes no lock longer.
    if ends > now + length then
      ends = now + length
      set('until', whole(ends))
    end
    if ends > now and owner ~= by then return {'taken', whole(ends - now)} end
    if ends > now then
      hold(by, time)
      return {'granted', whole(fence)}
    end
    if owner ~= by then kind = 'takeover' end
  end
  fence = fence + 1
  hold(by, time)
  return {kind, whole(fence)}
end
if op == 'renew' then
  if not is_of(ARGV[4], ARGV[5]) then return {'lost'} end
  hold(owner, tonumber(ARGV[6]))
  return {'done'}
end
if op == 'release' then
  if is_of(ARGV[4], ARGV[5]) then
    set('owner', '')
    nudge()
  end
  return {'done'}
end
return {'unknown'}
