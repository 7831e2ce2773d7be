"""A MutatingAdmissionPolicy applied to a pod, as far as that can be had without an API server.

PyPI's cel-python evaluates the expressions. It knows no `Object{}` and no `JSONPatch{}`: for each such name that an
expression uses stands a type of ours. What the API server then asks of the result is written here from its own source
(k8s.io/apiserver: pkg/cel/mutation/common/val.go and pkg/admission/plugin/policy/mutating/patch):

- an object's type is the path of its place, such as Object.spec.volumes.secret;
- no mapping and no list holds values of several kinds, and no list holds plain mappings;
- a list of objects is no value of a JSON Patch, only one object, or what holds it;
- what is merged touches no list that is replaced as a whole (atomic): of a pod here, containers and their env alone.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.evaluation import Annotation

from tests.chart.documents import Document

_TYPE = re.compile(r"\b((?:Object|JSONPatch)(?:\.[A-Za-z_]\w*)*)\{")


class Refused(Exception):
    """The API server would not take what an expression gives; the text says why."""


class _Typed(celtypes.MessageType):
    """An object with the name that it was made by."""

    name: str


def admitted(policy: Document, pod: Document) -> Document:
    """Return the pod as the policy leaves it; the same where a condition does not hold.

    Args:
        policy: the manifest; that the pod matches its `matchConstraints` is the caller's to see.
        pod: the manifest.

    Raises:
        Refused: the API server would refuse the pod, or leave it to `failurePolicy`.
    """
    spec = policy["spec"]
    for condition in spec["matchConditions"]:
        if not _evaluated(condition["expression"], pod):
            return pod
    for mutation in spec["mutations"]:
        if mutation["patchType"] == "JSONPatch":
            pod = _patched(pod, _evaluated(mutation["jsonPatch"]["expression"], pod))
        else:
            pod = _merged(pod, _evaluated(mutation["applyConfiguration"]["expression"], pod))
    return pod


def _evaluated(expression: str, pod: Document) -> object:
    return _program(expression).evaluate({"object": json_to_cel(pod)})


@cache
def _program(expression: str) -> celpy.Runner:
    # To cel-python a name with dots is a place with places in it, and no type: ours have none.
    names = {name: name.replace(".", "__") for name in _TYPE.findall(expression)}
    types: dict[str, Annotation] = {plain: type(plain, (_Typed,), {"name": name}) for name, plain in names.items()}
    environment = celpy.Environment(annotations=types)
    return environment.program(environment.compile(_TYPE.sub(lambda match: names[match[1]] + "{", expression)))


def _patched(pod: Document, operations: object) -> Document:
    """Apply a JSON Patch (RFC 6902) of additions."""
    patched = copy.deepcopy(pod)
    assert isinstance(operations, list)
    for operation in operations:
        if not isinstance(operation, _Typed) or operation.name != "JSONPatch" or operation["op"] != "add":
            raise Refused(f"not an addition: {operation!r}")
        value: object = operation["value"]
        if isinstance(value, list) and any(isinstance(each, _Typed) for each in value):
            raise Refused("a list of objects as one value")
        *places, last = str(operation["path"]).removeprefix("/").split("/")
        target: Any = patched  # a mapping or a list, as the path goes
        for place in places:
            if place not in target:
                raise Refused(f"{operation['path']}: there is no {place}")
            target = target[place]
        path = ".".join(["Object", *places, *([] if isinstance(target, list) else [last])])
        plain = _plain(value, path)
        if isinstance(target, dict):
            target[last] = plain
        else:
            target.insert(len(target) if last == "-" else int(last), plain)
    return patched


def _merged(pod: Document, configuration: object) -> Document:
    """Merge an apply configuration into the pod: items of containers and of their env, by their names."""
    plain = _plain(configuration, "Object")
    assert isinstance(plain, dict)
    if plain.keys() != {"spec"} or plain["spec"].keys() != {"containers"}:
        raise Refused("it merges more than containers: atomic lists could be among it")
    merged = copy.deepcopy(pod)
    for container in plain["spec"]["containers"]:
        if not container.keys() <= {"name", "env"}:
            raise Refused("it merges more of containers than their env: atomic lists could be among it")
        (target,) = (each for each in merged["spec"]["containers"] if each["name"] == container["name"])
        for variable in container["env"]:
            there = [each for each in target.setdefault("env", []) if each["name"] == variable["name"]]
            if there:
                there[0].update(variable)
            else:
                target["env"].append(variable)
    return merged


def _plain(value: object, path: str) -> object:
    """Return the value as JSON has it. Raises Refused where the API server does."""
    if isinstance(value, _Typed) and value.name != path:
        raise Refused(f"unexpected type name {value.name}, expected {path}")
    if isinstance(value, Mapping):
        if not isinstance(value, _Typed):
            _check_same_kind(list(value.values()), path)
        inner = {str(key): each for key, each in value.items()}
        return {
            key: _plain(each, f"{path}.{key}" if isinstance(value, _Typed) else path) for key, each in inner.items()
        }
    if isinstance(value, list):
        _check_same_kind(value, path)
        if any(isinstance(each, Mapping) and not isinstance(each, _Typed) for each in value):
            raise Refused(f"{path}: a list of plain mappings")
        return [_plain(each, path) for each in value]
    return _scalar(value)


def _check_same_kind(values: list[object], path: str) -> None:
    if len(set(_kinds(values))) > 1:
        raise Refused(f"{path}: values of several kinds in one list or mapping")


def _kinds(values: list[object]) -> Iterator[str]:
    for value in values:
        yield value.name if isinstance(value, _Typed) else type(value).__name__


def _scalar(value: object) -> object:
    if isinstance(value, celtypes.BoolType):
        return bool(value)
    if isinstance(value, celtypes.IntType):
        return int(value)
    if isinstance(value, celtypes.StringType):
        return str(value)
    raise Refused(f"neither text, whole number nor truth: {value!r}")
