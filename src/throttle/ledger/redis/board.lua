-- Keeps a board, unless another process changed it since it was read, and calls the processes that should hear of it.
-- The board is computed by its process: see src/throttle/board.rs.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for k = 5, #ARGV do redis.call('PUBLISH', ARGV[4] .. ARGV[k], KEYS[1]) end
return 1
