-- For wrk: no two requests have the same head.
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", wrk.path .. "?n=" .. count, { ["Host"] = wrk.headers["Host"], ["X-Request-Id"] = tostring(count) })
end
