-- Signs requests for COS with one set of temporary credentials (COS document
-- "Request Signature"), as a careful user of nginx would: it caches the SignKey
-- for a minute and encodes values only if necessary.
local M = {}

local find, gsub, sub, lower = string.find, string.gsub, string.sub, string.lower
local concat, sort = table.concat, table.sort

-- Signed header fields, in addition to Host and those of COS.
local signed = {}
for name in ([[cache-control content-disposition content-encoding
    content-length content-md5 content-type expect expires if-match
    if-modified-since if-none-match if-unmodified-since origin range
    transfer-encoding]]):gmatch("%S+") do
  signed[name] = true
end

local hexDigits, escapes = {}, {}
for i = 0, 255 do
  hexDigits[string.char(i)] = ("%02x"):format(i)
  escapes[string.char(i)] = ("%%%02X"):format(i)
end

local function hex(bytes)
  return (gsub(bytes, ".", hexDigits))
end

local function encode(value)
  if not find(value, "[^%w%-_%.~]") then
    return value
  end
  return (gsub(value, "[^%w%-_%.~]", escapes))
end

-- canonical returns the sorted names and the "name=value" pairs of a table.
local function canonical(values)
  local names, n = {}, 0
  for name in pairs(values) do
    n = n + 1
    names[n] = name
  end
  sort(names)
  local pairs = {}
  for i = 1, n do
    pairs[i] = names[i] .. "=" .. values[names[i]]
  end
  return concat(names, ";"), concat(pairs, "&")
end

function M.new(id, key, token, host)
  local encodedToken = encode(token)
  local window, signKey, renewal = nil, nil, 0

  local function renew()
    local now = ngx.time()
    if now >= renewal then
      window = now .. ";" .. (now + 3600)
      signKey = hex(ngx.hmac_sha1(key, window))
      renewal = now + 60
    end
  end

  local function headers()
    local values = { host = host, ["x-cos-security-token"] = encodedToken }
    for name, value in pairs(ngx.req.get_headers()) do
      if signed[name] or sub(name, 1, 6) == "x-cos-" then
        values[name] = encode(type(value) == "table" and value[1] or value)
      end
    end
    return values
  end

  local function parameters()
    local values = {}
    if ngx.var.args then
      for name, value in pairs(ngx.req.get_uri_args()) do
        values[lower(encode(name))] = value == true and "" or encode(value)
      end
    end
    return values
  end

  local function sign()
    renew()
    local headerNames, headerPairs = canonical(headers())
    local paramNames, paramPairs = canonical(parameters())
    local request = lower(ngx.req.get_method()) .. "\n" .. ngx.var.uri .. "\n"
      .. paramPairs .. "\n" .. headerPairs .. "\n"
    local text = "sha1\n" .. window .. "\n" .. hex(ngx.sha1_bin(request)) .. "\n"
    ngx.req.set_header("x-cos-security-token", token)
    ngx.req.set_header("Authorization", "q-sign-algorithm=sha1&q-ak=" .. id
      .. "&q-sign-time=" .. window .. "&q-key-time=" .. window
      .. "&q-header-list=" .. headerNames .. "&q-url-param-list=" .. paramNames
      .. "&q-signature=" .. hex(ngx.hmac_sha1(signKey, text)))
  end

  return { sign = sign }
end

return M
