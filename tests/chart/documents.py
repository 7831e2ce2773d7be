"""Manifests as YAML reads them, a key that is written twice refused: the last one would win in silence."""

from __future__ import annotations

from typing import Any

import yaml

# A manifest's shape is the cluster's to know (validate.py): here it is whatever YAML holds.
Document = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader, without duplicate keys. By libyaml: the other one takes ten times as long."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"written twice: {', '.join(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


def documents(text: str) -> list[Document]:
    """Return the documents of a YAML stream; empty ones are left out.

    Raises:
        yaml.YAMLError: it is no YAML, or a key is written twice.
    """
    return [one for one in yaml.load_all(text, Loader=_Loader) if one]
