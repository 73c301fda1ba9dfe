-- The load of bench_bus: requests of equal length, one behind the other in a file, each sent once.
-- wrk … -s signed.lua URL -- FILE BYTES ; the last line that it prints is JSON.

local requests, size, at

function init(args)
   local file = assert(io.open(args[1], "rb"))
   requests = file:read("*a")
   file:close()
   size = tonumber(args[2])
   at = 0
end

function request()
   if at + size > #requests then
      -- What comes now would be repeats: whoever measures must bring more requests.
      wrk.thread:stop()
      at = 0
   end
   at = at + size
   return requests:sub(at - size + 1, at)
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '{"answered":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"refused":%d,"broken":%d}\n',
      summary.requests, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
