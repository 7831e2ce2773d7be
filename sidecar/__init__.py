"""Sidecar: a local reverse proxy that makes authentication somebody else's problem."""

__version__ = "0.1.0"
