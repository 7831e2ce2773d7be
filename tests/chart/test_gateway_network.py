"""Who reaches the gateway, and what it reaches: the NetworkPolicy, read as a cluster reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.documents import Document
from tests.chart.gateway import GATEWAY, LEAST, kinds, of_kind
from tests.chart.helm import Helm
from tests.chart.network_policy import Peer, lets_in, lets_out

PROXY, ADMIN = 8080, 8081
CLIENT_LABEL = {"credential-sidecar": "client"}
CLIENT = Peer(own=True, pod=CLIENT_LABEL)
STRANGERS = {
    "a pod of the namespace without the label": Peer(own=True, pod={"app": "web"}),
    "a pod of the namespace with another value": Peer(own=True, pod={"credential-sidecar": "inject"}),
    "a pod of another namespace with the label": Peer({"kubernetes.io/metadata.name": "other"}, CLIENT_LABEL),
    "an address": Peer(address="203.0.113.9"),
}
PROMETHEUS = Peer({"kubernetes.io/metadata.name": "monitoring"}, {"app": "prometheus"})
DNS = Peer({"kubernetes.io/metadata.name": "kube-system"}, {"k8s-app": "kube-dns"})
VENDOR = Peer(address="203.0.113.9")


@pytest.fixture(scope="module")
def least(helm: Helm, gateway: Path) -> Document:
    """The policy of the least values: it is there unasked."""
    return of_kind(helm.template(gateway, values=LEAST), "NetworkPolicy")


@pytest.fixture(scope="module")
def narrow(helm: Helm, gateway: Path) -> Document:
    """The policy of scenario `network`."""
    manifests = helm.template(gateway, files=[GATEWAY / "ci" / "network-values.yaml"])
    return of_kind(manifests, "NetworkPolicy")


def test_a_client_gets_in(least: Document) -> None:
    """To the proxy, and not to health and metrics."""
    assert lets_in(least, CLIENT, PROXY)
    assert not lets_in(least, CLIENT, ADMIN)


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_does_not(least: Document, stranger: Peer) -> None:
    """Whoever gets in uses the key."""
    assert not lets_in(least, stranger, PROXY)
    assert not lets_in(least, stranger, ADMIN)


def test_prometheus_reads_metrics_alone(least: Document) -> None:
    """From its namespace; it gets nothing of the vendor's."""
    assert lets_in(least, PROMETHEUS, ADMIN)
    assert not lets_in(least, PROMETHEUS, PROXY)


def test_names_and_https_are_all_that_it_reaches(least: Document) -> None:
    """Upstreams and token endpoints by 443, names by 53, nothing of the cluster's by another port."""
    assert lets_out(least, VENDOR, 443)
    assert lets_out(least, DNS, 53, "UDP")
    assert lets_out(least, DNS, 53)
    assert not lets_out(least, VENDOR, 80)
    assert not lets_out(least, Peer(own=True), 6379)
    assert not lets_out(least, VENDOR, 443, "UDP")


def test_the_test_is_a_client(helm: Helm, gateway: Path, least: Document) -> None:
    """`helm test` gets in by the same label as an app."""
    test = of_kind(helm.template(gateway, values=LEAST), "Pod")
    assert lets_in(least, Peer(own=True, pod=test["metadata"]["labels"]), PROXY)


def test_clients_of_another_namespace_can_be_named(narrow: Document) -> None:
    """By both selectors at once; the namespace's own clients stay."""
    agents = {"kubernetes.io/metadata.name": "agents"}
    assert lets_in(narrow, Peer(agents, CLIENT_LABEL), PROXY)
    assert not lets_in(narrow, Peer(agents, {"app": "web"}), PROXY)
    assert lets_in(narrow, CLIENT, PROXY)


def test_no_monitoring_is_nobody(narrow: Document) -> None:
    """An empty list must not become a rule without peers, which would be everybody."""
    for peer in (PROMETHEUS, CLIENT, *STRANGERS.values()):
        assert not lets_in(narrow, peer, ADMIN)


def test_what_it_reaches_can_be_narrowed(narrow: Document) -> None:
    """The upstream's addresses alone, the cluster's DNS alone, and what was added."""
    assert lets_out(narrow, VENDOR, 443)
    assert not lets_out(narrow, Peer(address="192.0.2.1"), 443)
    assert lets_out(narrow, DNS, 53, "UDP")
    assert not lets_out(narrow, VENDOR, 53, "UDP")
    assert lets_out(narrow, Peer(address="198.51.100.7"), 8443)
    assert not lets_out(narrow, Peer(address="198.51.100.7"), 443)


def test_it_can_be_left_out(helm: Helm, gateway: Path) -> None:
    """For a plugin that knows none."""
    assert "NetworkPolicy" not in kinds(helm.template(gateway, values={**LEAST, "networkPolicy": {"enabled": False}}))
