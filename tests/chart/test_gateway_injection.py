"""The policy that puts a sidecar into pods with the label `credential-sidecar: inject`: what becomes of a pod.

What no test here can show is an API server's own reading of the expressions: see tests/chart/admission.py for what
stands in its place.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.chart.admission import Refused, admitted
from tests.chart.documents import Document
from tests.chart.gateway import GATEWAY, LEAST, LEAST_INJECTION, POLICIES, kinds, of_kind
from tests.chart.helm import LIBRARY, NEWEST, Helm, created_chart
from tests.chart.pod_security import breaches
from tests.chart.validate import mistakes

# The values of the library that the policy's scenarios have under `sidecar-lib`.
SCENARIOS = {name: GATEWAY / "ci" / f"{name}-values.yaml" for name in ("injection", "injection-only")}
POD: Document = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "app", "labels": {"credential-sidecar": "inject"}},
    "spec": {"containers": [{"name": "app", "image": "app"}]},
}


@pytest.fixture(scope="module")
def rendered(helm: Helm, gateway: Path) -> dict[str, list[Document]]:
    """Both scenarios."""
    return {name: helm.template(gateway, files=[file], apis=[POLICIES]) for name, file in SCENARIOS.items()}


@pytest.fixture(scope="module")
def policy(rendered: dict[str, list[Document]]) -> Document:
    """The policy of scenario `injection`."""
    return of_kind(rendered["injection"], "MutatingAdmissionPolicy")


def pod(**spec: object) -> Document:
    """Return the pod with more in its spec."""
    made = copy.deepcopy(POD)
    made["spec"].update(spec)
    return made


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_pod_gets_what_the_library_would_give_it(
    helm: Helm, rendered: dict[str, list[Document]], scenario: str, tmp_path: Path
) -> None:
    """The same container and volumes as a chart with the library's three lines, from the same values."""
    result = admitted(of_kind(rendered[scenario], "MutatingAdmissionPolicy"), pod())
    # The image of the gateway is that of injected sidecars that name none.
    image = tmp_path / "image.yaml"
    image.write_text("sidecar-lib: {image: {repository: registry.example.com/credential-sidecar}}")
    files = [image, SCENARIOS[scenario]]
    by_hand = helm.template(created_chart(helm, tmp_path / "charts"), files=files)
    spec = of_kind(by_hand, "Deployment")["spec"]["template"]["spec"]
    assert without_quantities(result["spec"]["initContainers"]) == without_quantities(spec["initContainers"])
    assert result["spec"]["volumes"] == spec["volumes"]
    assert result["spec"]["containers"][0]["env"] == spec["containers"][0]["env"]
    assert mistakes([result], NEWEST) == []
    assert breaches(result["spec"]["initContainers"][0]) == []


def without_quantities(containers: list[Document]) -> list[Document]:
    """Return the containers with each quantity as text, which 1 and "1" both are to Kubernetes."""
    made = copy.deepcopy(containers)
    for each in made:
        for of_kind_ in each["resources"].values():
            of_kind_.update({name: str(quantity) for name, quantity in of_kind_.items()})
    return made


def test_it_comes_before_all_other_init_containers(policy: Document) -> None:
    """So that they can use it; they and the pod's own volumes stay as they were."""
    migrate = {"name": "migrate", "image": "app"}
    volume = {"name": "data", "emptyDir": {}}
    result = admitted(policy, pod(initContainers=[migrate], volumes=[volume]))
    assert [one["name"] for one in result["spec"]["initContainers"]] == ["sidecar", "migrate"]
    assert result["spec"]["initContainers"][1] == migrate
    assert result["spec"]["initContainers"][0]["restartPolicy"] == "Always"
    assert [one["name"] for one in result["spec"]["volumes"]] == ["data", "sidecar-api-key"]
    assert result["spec"]["volumes"][0] == volume


def test_every_container_learns_where_it_is(policy: Document) -> None:
    """What a container says itself goes before; what else it says stays."""
    own = {"name": "SIDECAR_URL", "value": "http://localhost:1"}
    containers = [
        {"name": "app", "env": [own]},
        {"name": "worker", "env": [{"name": "A", "value": "1"}]},
        {"name": "x"},
    ]
    result = admitted(policy, pod(containers=containers))
    url = {"name": "SIDECAR_URL", "value": "http://127.0.0.1:8080"}
    base = {"name": "OPENAI_BASE_URL", "value": "http://127.0.0.1:8080/v1"}
    assert [one["env"] for one in result["spec"]["containers"]] == [
        [own, base],
        [{"name": "A", "value": "1"}, url, base],
        [url, base],
    ]


def test_a_pod_that_has_one_is_left_alone(policy: Document) -> None:
    """Among the init containers or the containers; and the result of the policy itself, so that once is enough."""
    once = admitted(policy, pod())
    for there in (
        once,
        pod(initContainers=[{"name": "sidecar", "image": "own"}]),
        pod(containers=[{"name": "app"}, {"name": "sidecar"}]),
    ):
        assert admitted(policy, there) is there


def test_a_pod_on_the_network_of_its_node_gets_none(policy: Document) -> None:
    """Loopback is everybody's there."""
    there = pod(hostNetwork=True)
    assert admitted(policy, there) is there
    assert admitted(policy, pod(hostNetwork=False)) != pod(hostNetwork=False)


def test_it_asks_for_the_label_and_for_new_pods(rendered: dict[str, list[Document]]) -> None:
    """Of the namespaces that the binding selects; where none are selected, of all."""
    for manifests in rendered.values():
        spec = of_kind(manifests, "MutatingAdmissionPolicy")["spec"]
        assert spec["matchConstraints"] == {
            "objectSelector": {"matchLabels": {"credential-sidecar": "inject"}},
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
        }
    bindings = {name: of_kind(each, "MutatingAdmissionPolicyBinding") for name, each in rendered.items()}
    assert bindings["injection"]["spec"]["matchResources"] == {
        "namespaceSelector": {"matchLabels": {"credential-sidecar": "allowed"}}
    }
    assert "matchResources" not in bindings["injection-only"]["spec"]


def test_a_binding_names_its_policy(rendered: dict[str, list[Document]]) -> None:
    """By a name with the namespace in it: policies are the whole cluster's."""
    for manifests in rendered.values():
        name = of_kind(manifests, "MutatingAdmissionPolicy")["metadata"]["name"]
        assert of_kind(manifests, "MutatingAdmissionPolicyBinding")["spec"]["policyName"] == name == "apps-demo-sidecar"


def test_what_happens_where_it_fails_is_chosen(rendered: dict[str, list[Document]]) -> None:
    """A pod without the sidecar that it asked for is refused, unless that is not wanted."""
    policies = {name: of_kind(each, "MutatingAdmissionPolicy")["spec"] for name, each in rendered.items()}
    assert policies["injection"]["failurePolicy"] == "Fail"
    assert policies["injection-only"]["failurePolicy"] == "Ignore"


def test_it_can_stand_alone(rendered: dict[str, list[Document]]) -> None:
    """Without a gateway; and a gateway without it has no policy."""
    assert kinds(rendered["injection-only"]) == {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}


def test_there_is_none_unasked(helm: Helm, gateway: Path) -> None:
    """Also on a cluster that has such policies."""
    assert not kinds(helm.template(gateway, values=LEAST, apis=[POLICIES])) & {"MutatingAdmissionPolicy"}


def test_text_comes_through_as_it_is(rendered: dict[str, list[Document]]) -> None:
    """Quotes, backslashes, tabs, braces and line ends."""
    result = admitted(of_kind(rendered["injection-only"], "MutatingAdmissionPolicy"), pod())
    said = {one["name"]: one["value"] for one in result["spec"]["initContainers"][0]["env"]}
    assert said["MESSAGE"] == 'it says "no"\tand \\ and {braces}\nand more'
    assert result["spec"]["initContainers"][0]["securityContext"]["runAsUser"] == 1000650000


def test_a_fraction_of_a_core_comes_through_as_it_is(helm: Helm, gateway: Path) -> None:
    """Not as the whole number below it: a limit of no CPU is another thing."""
    resources = {"requests": {"cpu": 0.5, "memory": 134217728}, "limits": {"cpu": 2}}
    values = {**LEAST_INJECTION, "sidecar-lib": {**LEAST, "resources": resources}}
    result = admitted(of_kind(helm.template(gateway, values=values, apis=[POLICIES]), "MutatingAdmissionPolicy"), pod())
    said = result["spec"]["initContainers"][0]["resources"]
    assert said["requests"] == {"cpu": "0.5", "memory": 134217728}
    assert said["limits"]["cpu"] == 2


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (
            'Object.spec.initContainers{name: "a", ports: [Object.spec.ports{}]}',
            "unexpected type name Object.spec.ports",
        ),
        ('Object.spec.initContainers{name: "a", env: [{"name": "b"}]}', "a list of plain mappings"),
        ('Object.spec.initContainers{name: "a", env: {"name": "b", "n": 1}}', "values of several kinds"),
        ("[Object.spec.initContainers{}]", "a list of objects as one value"),
    ],
)
def test_what_an_api_server_refuses_is_refused_here(policy: Document, value: str, why: str) -> None:
    """The stand-in is not kinder than what it stands for: each of its rules refuses something."""
    wrong = copy.deepcopy(policy)
    expression = '[JSONPatch{op: "add", path: "/spec/initContainers", value: []}, JSONPatch{op: "add", path: '
    expression += f'"/spec/initContainers/-", value: {value}}}]'
    wrong["spec"]["mutations"][0]["jsonPatch"]["expression"] = expression
    with pytest.raises(Refused, match=why):
        admitted(wrong, pod())


def test_the_library_of_the_tests_is_the_charts() -> None:
    """The chart's dependency names the version that the library has."""
    version = next(line for line in (LIBRARY / "Chart.yaml").read_text().splitlines() if line.startswith("version:"))
    assert version.split()[1] in (GATEWAY / "Chart.yaml").read_text().partition("dependencies:")[2]
