"""Writes the program's schema into the gateway's values.schema.json: `python -m helm.tools.config_schema [--check]`.

Under `config` a user writes the sidecar's own configuration, and Helm is to refuse there what the sidecar would. All
else in that file is written by hand and kept. With `--check` nothing is written, and it ends with 1 where the schema is
not the program's.

Helm says of a choice of schemas only that none of them fits. So choices become one schema each: where a value may be of
several types, what is said of one type (`pattern`, `minimum`, `items` ...) does not concern the others.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from sidecar.config.schema import schema

SCHEMA = Path(__file__).parents[1] / "sidecar" / "values.schema.json"
COMMAND = "python -m helm.tools.config_schema"
# What a schema is about, beside what it says of values.
ABOUT = ("title", "description", "default", "$schema")

# A JSON Schema: what stands in it is a matter of its words.
Schema = dict[str, object]


class SchemaError(Exception):
    """A schema has a choice that cannot become one schema; the text says which."""


def config_schema() -> Schema:
    """Return what may stand under `config`: the program's schema, each choice made one."""
    return flat({key: value for key, value in schema().items() if key not in ("$schema", "title")})


def flat(node: Schema) -> Schema:
    """Return the schema without choices (`anyOf`), and without defaults, which Helm does not read.

    Raises:
        SchemaError: two options of a choice concern the same type and cannot be told apart by that.
    """
    inner: Schema = {}
    for key, value in node.items():
        if key == "properties":
            inner[key] = {name: flat(each) for name, each in cast(Mapping[str, Schema], value).items()}
        elif key in ("items", "additionalProperties", "propertyNames") and isinstance(value, dict):
            inner[key] = flat(value)
        elif key not in ("anyOf", "default"):
            inner[key] = value
    if "anyOf" not in node:
        return inner
    return {**inner, **_one([flat(option) for option in cast(Iterable[Schema], node["anyOf"])])}


def _one(options: list[Schema]) -> Schema:
    """Return one schema that admits what at least one of these admits."""
    types: list[str] = []
    merged: Schema = {}
    patterns: list[str] | None = []  # None: any string
    for option in options:
        said = _as_patterns({key: value for key, value in option.items() if key not in ABOUT})
        if not said:  # anything
            return {}
        kinds = said.pop("type")
        of_option = [kinds] if isinstance(kinds, str) else cast(list[str], kinds)
        if "string" in of_option:
            pattern = cast(str | None, said.pop("pattern", None))
            patterns = None if pattern is None or patterns is None else [*patterns, pattern]
        if overlap := (set(of_option) & set(types)) - {"string"} or set(said) & set(merged):
            raise SchemaError(f"a choice has two options with {', '.join(sorted(overlap))}: {json.dumps(options)}")
        types += [kind for kind in of_option if kind not in types]
        merged.update(said)
    if patterns:
        merged["pattern"] = "|".join(dict.fromkeys(patterns))
    return {"type": types, **merged}


def _as_patterns(option: Schema) -> Schema:
    """Return the option with the words that it lists as a pattern; it is about strings then."""
    words = [option["const"]] if "const" in option else option.get("enum")
    if words is None:
        return option
    listed = "|".join(re.escape(str(word)) for word in cast(list[object], words))
    return {"type": "string", "pattern": f"^({listed})$"}


def with_config(text: str) -> str:
    """Return the text of values.schema.json with the program's schema in it, each of its keys on a line of its own."""
    whole = json.loads(text)
    config = config_schema()
    properties = cast(Mapping[str, Schema], config.pop("properties"))
    lines = ",\n".join(f"        {json.dumps(key)}: {json.dumps(value)}" for key, value in properties.items())
    # Its place in the text is found by a word that stands for it.
    whole["properties"]["config"] = {**config, "properties": "PROPERTIES"}
    return json.dumps(whole, indent=2).replace('"PROPERTIES"', f"{{\n{lines}\n      }}") + "\n"


def main(arguments: list[str], path: Path = SCHEMA) -> int:
    """Write it, or say with `--check` that it is not as it should be; return the exit code."""
    text = path.read_text()
    wanted = with_config(text)
    if wanted == text:
        return 0
    if arguments == ["--check"]:
        print(f"{path.name}: config is not the schema of `sidecar schema`: run {COMMAND}", file=sys.stderr)
        return 1
    path.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
