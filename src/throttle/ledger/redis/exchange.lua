-- One ask of one process about one shared window: the same as Domain::exchange in src/throttle/slots.rs, line by line
-- where it matters. A test compares the two by random calls. Times are microseconds.
local member, seq, epoch, run = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local uptime, declared, window, ttl = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local guard, grain, held, want = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
-- The time of a test, or 0; and the channel of a member less its name.
local time, channel = tonumber(ARGV[13]), ARGV[14]
local FOREVER, SOON, SECOND, MOST, EARLY, FEW = 9e15, 50000, 1e6, 1024, 20000, 3
local min, max, floor, ceil = math.min, math.max, math.floor, math.ceil

local clock = redis.call('TIME')
local wall = clock[1] * 1000 + floor(clock[2] / 1000)
if time == 0 then time = clock[1] * 1e6 + clock[2] end

local packed = redis.call('GET', KEYS[1])
local d = packed and cmsgpack.unpack(packed) or {
  epoch = '', run = '', count = 0, last = 0, offset = 0, leases = 0, debt = 0, free = {}, shelf = {}, peak = 0, members = {},
}

-- Pools: sorted pairs of a date and a number of slots.
local function total(pool)
  local sum = 0
  for _, group in ipairs(pool) do sum = sum + group[2] end
  return sum
end
local function put(pool, at, count)
  if count <= 0 then return end
  local place = #pool + 1
  while place > 1 and pool[place - 1][1] >= at do place = place - 1 end
  if pool[place] and pool[place][1] == at then
    pool[place][2] = pool[place][2] + count
  else
    table.insert(pool, place, {at, count})
  end
  local size = #pool
  if size > MOST then
    local merged = 0
    for k = 1, size, 2 do
      merged = merged + 1
      local later = pool[k + 1]
      pool[merged] = later and {later[1], pool[k][2] + later[2]} or pool[k]
    end
    for k = size, merged + 1, -1 do pool[k] = nil end
  end
end
local function take(pool, count, untl, latest)
  local taken, sum = {}, 0
  while count > 0 do
    local place = latest and #pool or 1
    local group = pool[place]
    if not group or group[1] > untl then break end
    local some = min(count, group[2])
    count, sum, group[2] = count - some, sum + some, group[2] - some
    taken[#taken + 1] = {group[1], some}
    if group[2] == 0 then table.remove(pool, place) end
  end
  return taken, sum
end
local function settle(pool, now)
  local count = 0
  while pool[1] and pool[1][1] <= now do count = count + table.remove(pool, 1)[2] end
  put(pool, now, count)
end
local function grained(at)
  if grain == 0 then return at end
  return ceil(at / grain) * grain
end

-- The clocks.
local now = time + d.offset
if now < d.last then
  d.offset = d.offset + d.last - now
  now = d.last
end
if d.epoch == '' then d.last = now end
d.leases = d.leases + min(now - d.last, SECOND)
d.last = now

-- A window that is not here, or a store that started anew.
local lapse = now + ttl + guard + window
if d.epoch == '' then
  d.epoch = member .. '.' .. string.format('%.0f', now)
  d.count, d.peak, d.free = declared, declared, {}
  put(d.free, (epoch == '' and (uptime >= lapse - now or window > 60 * SECOND)) and now or lapse, declared)
elseif d.run ~= run then
  d.epoch = member .. '.' .. string.format('%.0f', now)
  if window <= 60 * SECOND then settle(d.free, lapse) end
end
d.run = run
settle(d.free, now)

-- Slots that nobody holds any longer pay the debt first.
local function give_back(date, count)
  local paid = min(d.debt, count)
  d.debt = d.debt - paid
  put(d.free, date, count - paid)
  local room = max(0, max(0, d.peak - d.count) - total(d.shelf))
  put(d.shelf, date, min(paid, room))
end

-- Members: held, want, count, ends, seq, below low, below high, above low since, recalled, the kept answer, the slots
-- that it was lent and that are free too late, the first date of these, whether it was nudged.
local HELD, WANT, COUNT, ENDS, SEQ, LOW, HIGH, ABOVE, RECALLED, KEPT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local LATE, LATE_AT, CALLED = 11, 12, 13
local has_ended, lost = false, 0
for name, other in pairs(d.members) do
  for field = LATE, CALLED do other[field] = other[field] or 0 end
  if d.leases >= other[ENDS] then
    lost = lost + other[HELD]
    d.members[name] = nil
    has_ended = true
  end
end
give_back(grained(now + guard + window), lost)

local own = d.members[member]
local kept = own and own[SEQ] == seq and own[KEPT]
local nudged = {}
if not kept then
  local returned = 0
  for k = 15, #ARGV, 2 do returned = returned + tonumber(ARGV[k + 1]) end
  local void = not own and epoch == d.epoch and (held > 0 or returned > 0)
  if void then held, returned = 0, 0 end
  own = own or {0, 0, 0, 0, 0, 0, 0, 0, 0, false, 0, 0, 0}
  local claimed = held + returned
  if claimed > own[HELD] then
    local missing = claimed - own[HELD]
    local _, found = take(d.free, missing, FOREVER, true)
    d.debt = d.debt + missing - found
  else
    give_back(grained(now + guard + window), own[HELD] - claimed)
  end
  if not void then
    -- An ask of another epoch may repeat one that was carried out before the data was lost.
    local doubtful = 0
    if epoch ~= '' and epoch ~= d.epoch then doubtful = ttl + guard + (window > 60 * SECOND and 0 or window) end
    for k = 15, #ARGV, 2 do
      local date, count = grained(now + max(tonumber(ARGV[k]), doubtful)), tonumber(ARGV[k + 1])
      give_back(date, count)
    end
  end
  own[HELD], own[WANT], own[SEQ], own[COUNT] = held, want, seq, declared
  d.members[member] = own

  -- The smallest window that a member declares counts.
  local count
  for _, other in pairs(d.members) do count = min(count or other[COUNT], other[COUNT]) end
  if count < d.count then
    local gone, found = take(d.free, d.count - count, FOREVER, false)
    d.debt = d.debt + d.count - count - found
    for _, group in ipairs(gone) do put(d.shelf, group[1], group[2]) end
  elseif count > d.count then
    local more = count - d.count
    local paid = min(d.debt, more)
    d.debt, more = d.debt - paid, more - paid
    local back = take(d.shelf, more, FOREVER, true)
    for _, group in ipairs(back) do
      put(d.free, group[1], group[2])
      more = more - group[2]
    end
    put(d.free, now, more)
  end
  d.count, d.peak = count, max(d.peak, count)

  -- Shares.
  local wants = {}
  for _, other in pairs(d.members) do
    if other[WANT] > 0 then wants[#wants + 1] = min(other[WANT], count) end
  end
  table.sort(wants)
  local low, high, scarce, below_one, rest = count, count, false, false, count
  for k, one in ipairs(wants) do
    local others = #wants - k + 1
    if one * others > rest then
      low, high, scarce, below_one = max(floor(rest / others), 1), ceil(rest / others), true, rest < others
      break
    end
    rest = rest - one
  end

  -- The needs of the others.
  local function free_by(at)
    local sum = 0
    for _, group in ipairs(d.free) do
      if group[1] > at then break end
      sum = sum + group[2]
    end
    return sum
  end
  local untl, soon = now + window + SOON, now + EARLY
  local usable = free_by(untl)
  local function is_late(one, at) return one[LATE] > 0 and one[LATE_AT] > at end
  if min(want, low) > own[HELD] and own[LOW] == 0 then own[LOW] = now end
  if min(want, high) > own[HELD] and own[HIGH] == 0 then own[HIGH] = now end
  local names = {}
  for name in pairs(d.members) do if name ~= member then names[#names + 1] = name end end
  table.sort(names)
  local o_low, o_low_ahead, o_high, o_high_ahead, o_late, hungry, over = 0, 0, 0, 0, 0, false, {}
  local function ahead(since, own_since, name)
    return since > 0 and (since < own_since or (since == own_since and name < member))
  end
  for _, name in ipairs(names) do
    local other = d.members[name]
    local o_l, o_h = min(other[WANT], low), min(other[WANT], high)
    local needs_low, needs_high = max(0, o_l - other[HELD]), max(0, o_h - max(other[HELD], o_l))
    o_low, o_high = o_low + needs_low, o_high + needs_high
    if needs_low > 0 then
      if ahead(other[LOW], own[LOW], name) then o_low_ahead = o_low_ahead + needs_low end
    elseif needs_high > 0 and ahead(other[HIGH], own[HIGH], name) then
      o_high_ahead = o_high_ahead + needs_high
    end
    if is_late(other, soon) then o_late = o_late + other[LATE] end
    if min(other[WANT], count) > other[HELD] then hungry = true end
    local left = max(0, other[HELD] - other[RECALLED])
    if left > (below_one and 0 or high) or left > other[WANT] then over[#over + 1] = name end
  end

  -- Lending.
  local urgent, fair, full = min(want, low) - own[HELD], min(want, high) - own[HELD], min(want, count) - own[HELD]
  local lent = max(0, min(urgent, usable - o_low_ahead), min(fair, usable - o_low - o_high_ahead),
    min(full, usable - o_low - o_high))
  own[LATE] = min(own[LATE], max(0, own[WANT] - max(0, own[HELD] - own[LATE])))
  local grants, got = take(d.free, lent, untl, false)
  own[HELD], usable, own[CALLED] = own[HELD] + got, usable - got, 0
  if not is_late(own, soon) then own[LATE] = 0 end
  local late = false
  for _, group in ipairs(grants) do
    if group[1] > soon and not scarce then
      if not late then own[LATE_AT] = own[LATE] == 0 and group[1] or min(own[LATE_AT], group[1]) end
      late, own[LATE] = true, own[LATE] + group[2]
    end
  end
  if not scarce and got + own[LATE] > 0 and window <= 60 * SECOND then
    local ready, size = max(0, free_by(soon) - o_low), #names + 1
    local part = size > 1 and floor(max(0, ready - o_late) / (size + 1)) or 0
    local spare = max(0, part - max(0, own[HELD] - own[WANT]))
    local more, early = take(d.free, max(spare, min(own[LATE], ready)), soon, false)
    own[HELD], usable, own[LATE] = own[HELD] + early, usable - early, max(0, own[LATE] - early)
    for _, group in ipairs(more) do grants[#grants + 1] = group end
  end
  late = late and own[LATE] > 0
  local is_below_low, is_below_high = own[HELD] < min(want, low), own[HELD] < min(want, high)
  if not is_below_low then own[LOW] = 0 end
  if not is_below_high then own[HIGH] = 0 end

  -- Recalls.
  local missing = max(0, o_low - usable) + d.debt
  local needed, due, recall = missing + o_high, min(want, high), 0
  if own[HELD] > high and needed > 0 then recall = min(needed, own[HELD] - high)
  elseif missing > 0 and own[HELD] > due then recall = min(missing, own[HELD] - due)
  elseif missing > 0 and below_one and own[HELD] > 0 then recall = 1 end
  if scarce and not below_one and high > low and own[HELD] > low then
    if own[ABOVE] == 0 then
      own[ABOVE] = now
    elseif recall == 0 and now - own[ABOVE] >= max(2 * SECOND, 2 * window) * low then
      local poor = 0
      for _, name in ipairs(names) do
        local other = d.members[name]
        if other[WANT] > low and other[HELD] <= low then poor = poor + 1 end
      end
      if poor > usable then recall, own[ABOVE] = 1, now end
    end
  else
    own[ABOVE] = 0
  end
  if recall == 0 and d.debt > 0 and own[HELD] > min(want, low) then recall = 1 end
  own[RECALLED] = recall

  -- Nudges.
  if is_below_high or late or d.debt > 0 then
    local needs = max(0, min(want, high) - own[HELD]) + own[LATE] + d.debt
    local untl_late, fits = late and soon or FOREVER, {}
    local function excess(name)
      local other = d.members[name]
      return max(0, max(0, other[HELD] - other[RECALLED]) - min(other[WANT], high))
    end
    for _, name in ipairs(over) do
      if d.members[name][CALLED] == 0 and not is_late(d.members[name], untl_late) then fits[#fits + 1] = name end
    end
    table.sort(fits, function(a, b)
      local x, y = excess(a), excess(b)
      return x > y or (x == y and a < b)
    end)
    for _, name in ipairs(fits) do
      if needs <= 0 then break end
      nudged[#nudged + 1] = name
      needs = needs - max(1, excess(name))
    end
    if late and #over == 0 then
      local silent = {}
      for _, name in ipairs(names) do
        local other = d.members[name]
        if other[CALLED] == 0 and not is_late(other, soon) and other[HELD] >= FEW then silent[#silent + 1] = name end
      end
      table.sort(silent, function(a, b)
        local x, y = d.members[a][ENDS], d.members[b][ENDS]
        return x < y or (x == y and a < b)
      end)
      nudged = {silent[1], silent[2]}
    end
    if is_below_low and #over == 0 and usable == 0 and not below_one then
      local holders = {}
      for _, name in ipairs(names) do
        if d.members[name][HELD] > d.members[name][RECALLED] then holders[#holders + 1] = name end
      end
      table.sort(holders, function(a, b)
        local x, y = d.members[a][HELD], d.members[b][HELD]
        return x > y or (x == y and a < b)
      end)
      nudged = {holders[1], holders[2]}
    end
  end
  if has_ended or returned > 0 then
    local waiting = {}
    for _, name in ipairs(names) do
      local other = d.members[name]
      if min(other[WANT], count) > other[HELD] then
        local o_l, o_h = min(other[WANT], low), min(other[WANT], high)
        local class, since, upto
        if other[LOW] > 0 then class, since, upto = 0, other[LOW], o_l
        elseif o_h > other[HELD] then class, since, upto = 1, other[HIGH], o_h
        else class, since, upto = 2, other[HELD], min(other[WANT], count) end
        waiting[#waiting + 1] = {class, since, name, max(0, upto - other[HELD])}
      end
    end
    table.sort(waiting, function(a, b)
      if a[1] ~= b[1] then return a[1] < b[1] end
      if a[2] ~= b[2] then return a[2] < b[2] end
      return a[3] < b[3]
    end)
    local left = usable
    for _, one in ipairs(waiting) do
      if left <= 0 then break end
      nudged[#nudged + 1] = one[3]
      left = left - one[4]
    end
    local ready, has = free_by(soon), {}
    for _, name in ipairs(nudged) do has[name] = true end
    for _, name in ipairs(names) do
      local other = d.members[name]
      if ready > 0 and is_late(other, soon) and not has[name] then
        nudged[#nudged + 1] = name
        ready = ready - other[LATE]
      end
    end
  end
  for _, name in ipairs(nudged) do d.members[name][CALLED] = 1 end
  local poll = is_below_low and max(SOON, min(window, SECOND)) or 0
  kept = {void and 1 or 0, recall, poll, (missing > 0 or hungry) and 1 or 0, grants}
  for _, name in ipairs(nudged) do redis.call('PUBLISH', channel .. name, KEYS[1]) end
end
own[ENDS], own[KEPT] = d.leases + ttl, kept

local members, rank = 0, 0
for name in pairs(d.members) do
  members = members + 1
  if name < member then rank = rank + 1 end
end
if own[HELD] == 0 and want == 0 then d.members[member] = nil end
redis.call('SET', KEYS[1], cmsgpack.pack(d), 'PX', string.format('%.0f', ceil((2 * (window + ttl + guard) + 60 * SECOND) / 1000)))

local function whole(number) return string.format('%.0f', number) end
local reply = {
  d.epoch, whole(wall), whole(kept[1]), whole(kept[2]), whole(kept[3]), whole(members), whole(rank), whole(kept[4]),
  whole(d.count), whole(total(d.free)), whole(d.debt),
}
for _, group in ipairs(kept[5]) do
  reply[#reply + 1] = whole(max(0, group[1] - now))
  reply[#reply + 1] = whole(group[2])
end
return {reply, nudged}
