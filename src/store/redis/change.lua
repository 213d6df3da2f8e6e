-- One change of the tasks of a namespace: the same as the table in src/store/table.rs. A test compares the two by random
-- calls. Times are milliseconds. Each answer is its kind, the names that were forgotten unacknowledged, and values.
local base, op = KEYS[1], ARGV[1]
-- The time of a test, or 0; the mark tells a call that is repeated from another one.
local time, lease, keep, most, mark = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local CLOCK, LEASES, FREE, OVER = base .. 'clock', base .. 'leases', base .. 'free', base .. 'over'
local ACKNOWLEDGED, RECORD, MOST_FORGOTTEN, call = '4', 64, 1000, redis.call
local STATES = {submitted = '1', finished = '2', uncertain = '3', acknowledged = '4'}

local function whole(number) return string.format('%.0f', number) end
if time == 0 then
  local clock = call('TIME')
  time = clock[1] * 1000 + math.floor(clock[2] / 1000)
end

-- The lease clock moves by a third of a lease at most, and never back.
local clock = call('HMGET', CLOCK, 'lease', 'wall', 'bytes')
local now, bytes = tonumber(clock[1] or 0), tonumber(clock[3] or 0)
if clock[2] then now = now + math.min(math.max(0, time - clock[2]), math.floor(lease / 3)) end

-- A full server refuses new tasks only: a script that has removed something may go on, and what ends a task or renews a
-- lease must be written.
local function begin(is_new)
  if not is_new then call('DEL', base .. 'none') end
  call('HSET', CLOCK, 'lease', whole(now), 'wall', whole(time))
end
local function beat(owner) call('ZADD', LEASES, whole(now + lease), owner) end
local function key(name) return base .. 't:' .. name end
local function held_by(owner) return base .. 'o:' .. owner end
local function cost(record) return #record.name + record.size + RECORD end

local function read(name)
  local r = call('HMGET', key(name), 'state', 'owner', 'fence', 'since', 'number', 'size', 'mark')
  if not r[1] then return nil end
  return {
    name = name, state = r[1], owner = r[2], fence = tonumber(r[3]), since = tonumber(r[4]), number = r[5],
    size = tonumber(r[6]), mark = r[7],
  }
end
local function is_held(record, owner, fence)
  return record and owner ~= '' and record.owner == owner and record.fence == tonumber(fence)
end
local function is_alive(owner)
  local ends = owner ~= '' and call('ZSCORE', LEASES, owner)
  return ends and tonumber(ends) > now
end
local function is_free(record) return record.state ~= ACKNOWLEDGED and not is_alive(record.owner) end
-- The sorted names in which a record that is not acknowledged is found.
local function place(record)
  if record.state == ACKNOWLEDGED then return nil end
  return record.owner == '' and FREE or held_by(record.owner)
end

local function forget(record)
  call('DEL', key(record.name))
  call('ZREM', OVER, record.name)
  local from = place(record)
  if from then call('ZREM', from, record.name) end
  call('HINCRBY', CLOCK, 'state' .. record.state, -1)
  call('HINCRBY', CLOCK, 'bytes', -cost(record))
end

-- Writes a record with other values, and other data if there is one.
local function turn(record, state, owner, data, new_mark)
  local from, size = place(record), record.size
  if state ~= record.state then
    call('HINCRBY', CLOCK, 'state' .. record.state, -1)
    call('HINCRBY', CLOCK, 'state' .. state, 1)
    record.since = time
  end
  record.state, record.owner = state, owner
  if state == ACKNOWLEDGED then
    call('HDEL', key(record.name), 'data')
    record.size = 0
  elseif data then
    call('HSET', key(record.name), 'data', data)
    record.size = #data
  end
  local to = place(record)
  if from ~= to then
    if from then call('ZREM', from, record.name) end
    if to then call('ZADD', to, record.number, record.name) end
  end
  if state == STATES.finished or state == ACKNOWLEDGED then
    call('ZADD', OVER, whole(record.since), record.name)
  else
    call('ZREM', OVER, record.name)
  end
  if record.size ~= size then call('HINCRBY', CLOCK, 'bytes', record.size - size) end
  call('HSET', key(record.name), 'state', state, 'owner', owner, 'fence', whole(record.fence), 'since',
    whole(record.since), 'size', record.size, 'mark', new_mark)
end

-- The records that are kept no longer. A finished task that somebody holds may be in the middle of its download.
local function old()
  local gone, warned, is_gone = {}, {}, {}
  for _, name in ipairs(call('ZRANGEBYSCORE', OVER, '-inf', whole(time - keep), 'LIMIT', 0, MOST_FORGOTTEN)) do
    local record = read(name)
    if record and (record.state == ACKNOWLEDGED or is_free(record)) then
      gone[#gone + 1], is_gone[name] = record, true
      if record.state ~= ACKNOWLEDGED then warned[#warned + 1] = name end
    end
  end
  return gone, warned, is_gone
end

local calls = {}

function calls.intend()
  local name, owner, data = ARGV[7], ARGV[8], ARGV[9]
  local gone, warned, is_gone = old()
  local record = read(name)
  if record and not is_gone[name] then
    if record.mark == mark then return {'stored', {}, {}} end
    return {'known', {}, {record.state}}
  end
  local needed = #name + #data + RECORD
  for _, one in ipairs(gone) do bytes = bytes - cost(one) end
  if bytes + needed > most then
    local open = 0
    for state = 0, 3 do open = open + (call('HGET', CLOCK, 'state' .. state) or 0) end
    return {'full', {}, {whole(open), whole(bytes), whole(needed)}}
  end
  begin(true)
  for _, one in ipairs(gone) do forget(one) end
  beat(owner)
  local number = call('HINCRBY', CLOCK, 'next', 1)
  call('HSET', key(name), 'state', '0', 'owner', owner, 'fence', 1, 'since', whole(time), 'number', number, 'size',
    #data, 'mark', mark, 'data', data)
  call('ZADD', owner == '' and FREE or held_by(owner), number, name)
  call('HINCRBY', CLOCK, 'state0', 1)
  call('HINCRBY', CLOCK, 'bytes', needed)
  return {'stored', warned, {}}
end

function calls.write()
  local name, owner, fence, kind, data = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
  local record = read(name)
  if record and record.mark == mark then return {'done', {}, {}} end
  if not is_held(record, owner, fence) then return {record and 'lost' or 'unknown', {}, {}} end
  begin(false)
  if kind == 'withdrawn' then
    forget(record)
  elseif kind == 'released' then
    turn(record, record.state, '', nil, mark)
  else
    local state = STATES[kind]
    turn(record, state, state == ACKNOWLEDGED and '' or owner, kind == 'submitted' and data or nil, mark)
  end
  return {'done', {}, {}}
end

function calls.beat()
  local owner, holder, lost = ARGV[7], ARGV[8], {}
  local gone, warned, is_gone = old()
  for at = 9, #ARGV, 2 do
    local record = read(ARGV[at])
    if not is_held(record, holder, ARGV[at + 1]) then
      lost[#lost + 1] = whole((at - 9) / 2)
      lost[#lost + 1] = record and 'lost' or 'unknown'
    end
  end
  begin(false)
  for _, one in ipairs(gone) do forget(one) end
  for _, dead in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', whole(now), 'LIMIT', 0, 100)) do
    if call('ZCARD', held_by(dead)) == 0 then call('ZREM', LEASES, dead) end
  end
  beat(owner)
  return {'beaten', warned, lost}
end

function calls.claim()
  local owner, count = ARGV[7], tonumber(ARGV[8])
  local gone, warned, is_gone = old()
  local found, claimed = {}, {}
  local function collect(from)
    local names = call('ZRANGE', from, 0, whole(count + #gone), 'WITHSCORES')
    for at = 1, #names, 2 do
      if not is_gone[names[at]] then found[#found + 1] = {tonumber(names[at + 1]), names[at]} end
    end
  end
  collect(FREE)
  for _, dead in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', whole(now))) do collect(held_by(dead)) end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  begin(false)
  for _, one in ipairs(gone) do forget(one) end
  for at = 1, math.min(count, #found) do
    local record = read(found[at][2])
    record.fence = record.fence + 1
    turn(record, record.state, owner, nil, mark)
    for _, value in ipairs({record.name, whole(record.fence), record.state}) do claimed[#claimed + 1] = value end
    claimed[#claimed + 1] = call('HGET', key(record.name), 'data') or ''
  end
  beat(owner)
  return {'claimed', warned, claimed}
end

-- Takes a call back whose answer was lost: of an intend by its name, of a claim by its owner.
function calls.undo()
  local owner, name = ARGV[7], ARGV[8]
  begin(false)
  if name ~= '' then
    local record = read(name)
    if record and record.mark == mark then forget(record) end
  else
    for _, held in ipairs(call('ZRANGE', held_by(owner), 0, -1)) do
      local record = read(held)
      if record.mark == mark then turn(record, record.state, '', nil, '') end
    end
  end
  return {'undone', {}, {}}
end

function calls.counts()
  local free = call('ZCARD', FREE)
  for _, dead in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', whole(now))) do free = free + call('ZCARD', held_by(dead)) end
  local counts = {}
  for state = 0, 4 do counts[#counts + 1] = whole(call('HGET', CLOCK, 'state' .. state) or 0) end
  counts[#counts + 1] = whole(free)
  counts[#counts + 1] = whole(bytes)
  return {'counted', {}, counts}
end

return calls[op]()
