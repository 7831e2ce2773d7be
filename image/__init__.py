"""Builds the container image without a registry or a daemon, and checks it: `python -m image`, or `make image`.

With an engine and a registry at hand, none of this is needed: `docker build -t credential-sidecar .` does it.
"""
