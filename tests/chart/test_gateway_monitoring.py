"""What the chart gives to Prometheus and Grafana: the alerts, the dashboard, and where metrics are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.chart.documents import Document
from tests.chart.gateway import GATEWAY, LEAST, POLICIES, container, kinds, of_kind
from tests.chart.helm import Helm

# The keys that the Prometheus operator's kinds have, as far as they are used: its API's reference has the rest.
POD_MONITOR = {"namespaceSelector", "selector", "podMetricsEndpoints"}


@pytest.fixture(scope="module")
def monitored(helm: Helm, gateway: Path) -> list[Document]:
    """Scenario `monitoring`: labels for Prometheus, one alert left out, a runbook of the user's own."""
    return helm.template(gateway, files=[GATEWAY / "ci" / "monitoring-values.yaml"])


@pytest.fixture(scope="module")
def groups(gateway: Path) -> list[Document]:
    """The groups of the rule file that the chart has."""
    file: Document = yaml.safe_load((gateway / "files" / "alerts.yaml").read_text())
    return list(file["groups"])


def alerts(of: list[Document]) -> dict[str, Document]:
    """Return the alerts of the groups by name."""
    return {rule["alert"]: rule for group in of for rule in group["rules"]}


def test_every_alert_is_there_but_those_left_out(monitored: list[Document], groups: list[Document]) -> None:
    """Unchanged, but for the runbook's address: Prometheus' own braces come through."""
    rendered = alerts(of_kind(monitored, "PrometheusRule")["spec"]["groups"])
    expected = alerts(groups)
    assert rendered.keys() == expected.keys() - {"SidecarAbsent"}
    assert any("{{ $labels" in str(rule) for rule in rendered.values())
    for name, rule in rendered.items():
        annotations = {key: text for key, text in expected[name]["annotations"].items() if key != "runbook"}
        runbook = f"https://wiki.example.com/sidecar#{name.lower()}"
        assert rule == {**expected[name], "annotations": {**annotations, "runbook_url": runbook}}


def test_all_alerts_are_there_unasked(helm: Helm, gateway: Path, groups: list[Document]) -> None:
    """With the groups of the file, whose runbook is the README's."""
    values = {**LEAST, "monitoring": {"prometheusRule": {"enabled": True}}}
    rendered = of_kind(helm.template(gateway, values=values), "PrometheusRule")["spec"]["groups"]
    assert [group["name"] for group in rendered] == [group["name"] for group in groups]
    assert alerts(rendered).keys() == alerts(groups).keys()
    assert all(
        rule["annotations"]["runbook_url"] == f"README.md#{name.lower()}" for name, rule in alerts(rendered).items()
    )


def test_a_group_that_loses_all_its_alerts_goes(helm: Helm, gateway: Path, groups: list[Document]) -> None:
    """A group without rules is refused by some versions of the operator."""
    names = [rule["alert"] for rule in groups[0]["rules"]]
    others = [group["name"] for group in groups[1:]]
    values = {**LEAST, "monitoring": {"prometheusRule": {"enabled": True, "leaveOut": names}}}
    rendered = of_kind(helm.template(gateway, values=values), "PrometheusRule")["spec"]["groups"] or []
    assert [group["name"] for group in rendered] == others


def test_the_dashboard_comes_through_as_it_is(monitored: list[Document], gateway: Path) -> None:
    """With Grafana's own braces, and the label by which its sidecar finds it."""
    config_map = of_kind(monitored, "ConfigMap", "demo-sidecar-dashboard")
    (text,) = config_map["data"].values()
    assert text == (gateway / "files" / "dashboard.json").read_text()
    assert json.loads(text)["title"]
    assert "{{" in text
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["metadata"]["annotations"] == {"grafana_folder": "Sidecar"}


def test_metrics_are_where_the_monitor_asks(monitored: list[Document]) -> None:
    """At the port of that name of the pods that it selects, every 15 s; Prometheus finds it by its label."""
    monitor = of_kind(monitored, "PodMonitor")
    assert monitor["spec"].keys() <= POD_MONITOR
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "sidecar-admin", "path": "/metrics", "interval": "15s"}]
    assert "sidecar-admin" in [port["name"] for port in container(monitored)["ports"]]
    labels = of_kind(monitored, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert of_kind(monitored, "PrometheusRule")["metadata"]["labels"]["release"] == "prometheus"


def test_injected_sidecars_are_monitored_too(helm: Helm, gateway: Path) -> None:
    """In all namespaces, by the label that their pods asked for them with."""
    file = GATEWAY / "ci" / "injection-values.yaml"
    manifests = helm.template(gateway, files=[file], apis=[POLICIES])
    monitor = of_kind(manifests, "PodMonitor", "demo-sidecar-injected")["spec"]
    assert monitor.keys() <= POD_MONITOR
    assert monitor["namespaceSelector"] == {"any": True}
    policy = of_kind(manifests, "MutatingAdmissionPolicy")["spec"]
    assert monitor["selector"] == policy["matchConstraints"]["objectSelector"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert f'name: "{endpoint["port"]}"' in policy["mutations"][0]["jsonPatch"]["expression"]


def test_nothing_of_it_is_there_unasked(helm: Helm, gateway: Path) -> None:
    """A cluster without the operator installs the chart."""
    manifests = helm.template(gateway, values=LEAST)
    assert not kinds(manifests) & {"PodMonitor", "PrometheusRule"}
    assert [one["metadata"]["name"] for one in manifests if one["kind"] == "ConfigMap"] == ["demo-sidecar"]
