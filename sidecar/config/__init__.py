"""YAML, flags and environment → frozen values. Nobody below sees the configuration."""

from sidecar.config.loader import load
from sidecar.config.values import Config

__all__ = ["Config", "load"]
