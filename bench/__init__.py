"""The benchmark: the sidecar beside nginx, haproxy and Envoy, in one run, on one machine.

It is not a test: nothing here passes or fails the suite. The rule it keeps: every proxy alone
on one core, everything else on another; the same work for each; rounds interleaved; medians.
It uses the standard library alone, so that what it imports is not shared with what it measures.
"""
