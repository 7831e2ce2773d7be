"""What the gateway chart's files say of each other and of the program: values, schema, README, and the notes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

import sidecar
from sidecar.config.presets import PRESETS
from tests.chart.documents import Document, documents
from tests.chart.gateway import GATEWAY, LEAST, LEAST_INJECTION, POLICIES, gateway_chart, kinds
from tests.chart.helm import LIBRARY, OLDEST, Helm, HelmRefused, scenarios

README = (GATEWAY / "README.md").read_text()
VALUES: Document = documents((GATEWAY / "values.yaml").read_text())[0]
SCHEMA: Document = json.loads((GATEWAY / "values.schema.json").read_text())
# What the cluster, the program or the library defines, not this chart.
FREE = {"resources", "config", "sidecar-lib", "namespaceSelector", "labels"}
# One has no other value, the other says where the image has something.
UNSET = {"service.type", "test.python"}


def keys_of_values(values: Document, prefix: str = "") -> Iterator[str]:
    """Return every key that holds a value, dotted."""
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in FREE:
            yield from keys_of_values(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def keys_of_schema(schema: Document, prefix: str = "") -> Iterator[str]:
    """Return every key that the schema knows and that holds a value, dotted."""
    for key, inner in schema["properties"].items():
        if "properties" in inner and key not in FREE:
            assert inner["additionalProperties"] is False, prefix + key
            yield from keys_of_schema(inner, f"{prefix}{key}.")
        else:
            yield prefix + key


def at(values: Document, key: str) -> object:
    """Return the value at a dotted key, None where there is none."""
    first, _, rest = key.partition(".")
    inner = values.get(first)
    return at(inner, rest) if rest and isinstance(inner, dict) else None if rest else inner


def test_the_schema_knows_every_value_and_no_other() -> None:
    """But those of the library, and `global`, which Helm adds."""
    assert sorted([*keys_of_values(VALUES), "global", "sidecar-lib"]) == sorted(keys_of_schema(SCHEMA))


def test_every_value_is_set_in_a_scenario() -> None:
    """To something else than its default, so that what it does is rendered."""
    files = [documents(path.read_text())[0] for path in scenarios(GATEWAY)]
    unset = {key for key in keys_of_values(VALUES) if all(at(one, key) in (None, at(VALUES, key)) for one in files)}
    assert unset == UNSET


def test_the_schema_knows_the_programs_presets() -> None:
    """One that the program learns is added here."""
    assert set(SCHEMA["properties"]["preset"]["enum"]) == {"", *PRESETS}


def test_the_versions_are_the_programs_and_the_librarys() -> None:
    """The chart's, the image's by default, and the library that it asks for."""
    chart, library = (yaml.safe_load((folder / "Chart.yaml").read_text()) for folder in (GATEWAY, LIBRARY))
    assert chart["appVersion"] == VALUES["image"]["tag"] == sidecar.__version__
    (dependency,) = chart["dependencies"]
    assert (dependency["name"], dependency["version"]) == (library["name"], library["version"])
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


def commands() -> list[list[str]]:
    """Return the arguments of each `helm install` in the README."""
    text = README.replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("helm install ")]


def test_the_readmes_commands_install(helm: Helm, gateway: Path) -> None:
    """A gateway by the one, and the policy alone by the other."""
    asked = [[str(gateway) if one == "helm/sidecar" else one for one in words[2:]] for words in commands()]
    assert len(asked) == 2
    made = [documents(helm.run("template", *words, "--api-versions", POLICIES)) for words in asked]
    assert "Deployment" in kinds(made[0])
    assert kinds(made[1]) == {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
    assert "http://vendor-sidecar.NAMESPACE" in README
    assert next(one for one in made[0] if one["kind"] == "Service")["metadata"]["name"] == "vendor-sidecar"


def test_the_readmes_image_is_the_one_that_is_pulled() -> None:
    """Built and pushed with the tag that both charts ask for."""
    for folder in (GATEWAY, LIBRARY):
        (values,) = documents((folder / "values.yaml").read_text())
        command = f"docker build -t registry.example.com/credential-sidecar:{values['image']['tag']} ."
        assert command in (folder / "README.md").read_text()


def test_the_readmes_values_are_taken(helm: Helm, gateway: Path, tmp_path: Path) -> None:
    """Those of another vendor."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "values.yaml"
    file.write_text(block)
    assert "Deployment" in kinds(helm.template(gateway, files=[file]))


def test_the_readmes_refusal_is_helms(helm: Helm, gateway: Path) -> None:
    """Word for word."""
    (block,) = re.findall(r"```\n\$ helm template demo helm/sidecar (.*?)```", README, re.DOTALL)
    option, *lines = block.strip().splitlines()
    with pytest.raises(HelmRefused) as refused:
        helm.run("template", "demo", str(gateway), *option.split())
    said = str(refused.value).splitlines()
    assert len(lines) == 4
    assert [line for line in said if line in lines] == lines


@pytest.fixture(scope="module")
def noting(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the chart that renders its notes as a manifest: Helm shows them to a cluster's users alone."""
    chart = gateway_chart(helm, tmp_path_factory.mktemp("noting"))
    include = '{{ include (print $.Template.BasePath "/NOTES.txt") . | toJson }}'
    (chart / "templates" / "notes.yaml").write_text(f"kind: Notes\nmetadata: {{name: notes}}\ntext: {include}\n")
    return chart


def notes(helm: Helm, chart: Path, values: Mapping[str, object]) -> str:
    """Return the notes of these values."""
    (found,) = (one for one in helm.template(chart, values=values, apis=[POLICIES]) if one["kind"] == "Notes")
    return str(found["text"])


def test_the_notes_say_the_next_step(helm: Helm, noting: Path) -> None:
    """Wait, test, let an app in, and its base URL; where nothing keeps others out, that."""
    said = notes(helm, noting, LEAST)
    for step in (
        "kubectl --namespace apps rollout status deployment/demo-sidecar\n",
        "helm --namespace apps test demo --logs\n",
        "kubectl --namespace apps logs deployment/demo-sidecar\n",
        "  credential-sidecar: client\n",
        "  http://demo-sidecar.apps\n",
    ):
        assert step in f"{said}\n"
    assert "Sidecar-Token" not in said
    assert "inject" not in said
    opened = {**LEAST, "networkPolicy": {"enabled": False}, "gate": {"requireToken": {"secretName": "callers"}}}
    said = notes(helm, noting, opened)
    assert "every pod of the cluster that reaches the gateway uses your key" in said
    assert "needs the token of Secret callers in the field Sidecar-Token" in said


def test_the_notes_of_the_injection(helm: Helm, noting: Path) -> None:
    """The label, the address, and where the Secret has to be; nothing of a gateway that is not there."""
    said = notes(helm, noting, LEAST_INJECTION)
    assert "  credential-sidecar: inject\n" in said
    assert "at http://127.0.0.1:8080, which stands in its SIDECAR_URL" in said
    assert "The Secret giantcontext has to be in the pod's own namespace." in said
    assert "rollout" not in said
