-- Requests for wrk: BODIES names a file with one JSON body a line, KEY the bearer, SEED the order.
local requests = {}

function init(args)
  math.randomseed(tonumber(os.getenv("SEED") or "1"))
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")
  for line in io.lines(os.getenv("BODIES")) do
    wrk.body = line
    requests[#requests + 1] = wrk.format()
  end
end

function request() return requests[math.random(#requests)] end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"errors":%d,"p50":%.3f,"p99":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
