"""Manifests against the schemas of Kubernetes, strictly: an unknown key, or a kind without a schema, is a mistake.

The schemas are those of PyPI's kubernetes-validate. Its own function reads them anew for each manifest (a second each),
and for a kind that it does not know its command only warns, so that a misspelt apiVersion would pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
from referencing import Registry, Resource

from tests.chart.documents import Document
from tests.chart.helm import OLDEST

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
# Kinds that a cluster has by an operator alone: the only ones that may have no schema.
CUSTOM_GROUPS = ("monitoring.coreos.com/",)


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# Go's templates write a large number as 1e+09, which JSON Schema takes for an integer, and Kubernetes does not.
_Validator: type[jsonschema.Draft202012Validator] = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def versions() -> list[str]:
    """Return every version of Kubernetes whose schema is there, from the oldest that has native sidecars, as 1.29."""
    found = (re.fullmatch(r"v1\.(\d+)\.0-local-strict", folder.name) for folder in SCHEMAS.iterdir())
    minors = sorted(int(match[1]) for match in found if match)
    return [f"1.{minor}" for minor in minors if minor >= int(OLDEST.partition(".")[2])]


def mistakes(manifests: Iterable[Document], version: str) -> list[str]:
    """Return what a cluster of this version would not take, each with its kind, name and place.

    Args:
        manifests: what was rendered.
        version: of Kubernetes, such as 1.29.
    """
    found = []
    for manifest in manifests:
        api_version, kind = str(manifest.get("apiVersion")), str(manifest.get("kind"))
        if api_version.startswith(CUSTOM_GROUPS):
            continue
        called = f"{kind}/{manifest.get('metadata', {}).get('name')}"
        validator = _validator(version, api_version, kind)
        if validator is None:
            found.append(f"{called}: Kubernetes {version} has no {kind} of {api_version}")
            continue
        for error in validator.iter_errors(manifest):
            found.append(f"{called}: {'.'.join(map(str, error.absolute_path)) or 'top level'}: {error.message}")
    return found


@cache
def _validator(version: str, api_version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    """Return what checks this kind, or None where there is no such kind."""
    # The group's domain is left out: rbac.authorization.k8s.io/v1 is rbac-v1.
    group, _, rest = api_version.rpartition("/")
    stem = f"{group.partition('.')[0]}-{rest}" if group else rest
    path = _folder(version) / f"{kind.lower()}-{stem}.json"
    if not path.exists():
        return None
    schema = json.loads(path.read_bytes())
    return _Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    content = json.loads((_folder(version) / "_definitions.json").read_bytes())
    registry: Registry[Any] = Registry()
    return Resource.from_contents(content) @ registry


def _folder(version: str) -> Path:
    folder = SCHEMAS / f"v{version}.0-local-strict"
    assert folder.is_dir(), f"there is no schema of Kubernetes {version}"
    return folder
