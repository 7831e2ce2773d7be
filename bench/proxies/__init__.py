"""The proxies: for each a function that writes its configuration and returns its command.

All do the same: `/upload` to the helper, `/tls/` to the TLS upstream, the rest to the plain one,
an Authorization field put on every request. nginx and haproxy put on a fixed one.
"""
