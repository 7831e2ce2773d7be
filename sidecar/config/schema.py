"""The JSON Schema of the configuration file, from the same table that reads it."""

from __future__ import annotations

from sidecar.config.keys import ROOT


def schema() -> dict[str, object]:
    """Return the schema for editors: keys, kinds, defaults and what each does.

    It asks for no key: presets, flags and the environment may give what a file leaves out.
    """
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "sidecar configuration", **ROOT.schema()}
