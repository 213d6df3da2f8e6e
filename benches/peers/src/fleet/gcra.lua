-- KEYS[1]: when the limiter is empty again, in microseconds. ARGV: microseconds of a request, and of all that may be ahead.
-- Returns 0, or how long to wait before the next try.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local empty = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local early = empty - now - tonumber(ARGV[2])
if early > 0 then
    return early
end
empty = empty + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', empty), 'PX', math.ceil((empty - now) / 1000) + 1)
return 0
