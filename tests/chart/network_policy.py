"""What a NetworkPolicy lets through, as Kubernetes defines it: written here from its API's reference.

Only what the tests ask: label selectors with `matchLabels`, blocks of addresses, ports by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tests.chart.documents import Document


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: a pod, or an address beyond the cluster.

    Args:
        namespace: the labels of the pod's namespace.
        pod: the labels of the pod.
        own: whether it is in the policy's namespace.
        address: of what is no pod.
    """

    namespace: Mapping[str, str] = field(default_factory=dict)
    pod: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    address: str = ""


def lets_in(policy: Document, peer: Peer, port: int) -> bool:
    """Whether the peer reaches this TCP port of the policy's pods."""
    return _passes(policy["spec"], "Ingress", "from", peer, port, "TCP")


def lets_out(policy: Document, peer: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the policy's pods reach this port of the peer."""
    return _passes(policy["spec"], "Egress", "to", peer, port, protocol)


def _passes(spec: Document, direction: str, key: str, peer: Peer, port: int, protocol: str) -> bool:
    if direction not in spec["policyTypes"]:
        return True
    for rule in spec.get(direction.lower(), []):
        ports, peers = rule.get("ports", []), rule.get(key, [])
        right_port = not ports or any(one["port"] == port and one.get("protocol", "TCP") == protocol for one in ports)
        # No peers, or an empty list of them, is everybody: what a wrong template gives by accident.
        if right_port and (not peers or any(_is(peer, one) for one in peers)):
            return True
    return False


def _is(peer: Peer, described: Document) -> bool:
    if block := described.get("ipBlock"):
        return bool(peer.address) and ip_address(peer.address) in ip_network(block["cidr"])
    if peer.address:
        return False
    namespace = described.get("namespaceSelector")
    right_namespace = peer.own if namespace is None else _selects(namespace, peer.namespace)
    return right_namespace and _selects(described.get("podSelector", {}), peer.pod)


def _selects(selector: Document, labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "this reads no other selector"
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()
