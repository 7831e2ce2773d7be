"""Pod Security's level "restricted", and what goes beyond it, for one container: written here from the standard itself.

Source: Kubernetes, Pod Security Standards, "Restricted". What the pod may set for all its containers does not count: a
container that is put into somebody else's pod has to say everything itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.chart.documents import Document


def breaches(container: Document) -> list[str]:
    """Return every rule that the container breaks, in words; an empty list is none."""
    return [*_restricted(container), *_beyond(container)]


def _restricted(container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"]:
        yield "capabilities: not all are dropped"
    if capabilities.get("add"):
        yield "capabilities: some are added"
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if not context.get("runAsUser"):
        yield "runAsUser is root's, or not a number"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile is not RuntimeDefault"
    if context.get("procMount", "Default") != "Default":
        yield "procMount is not the default"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "a port of the host's"


def _beyond(container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("readOnlyRootFilesystem") is not True:
        yield "the root file system can be written"
    if not context.get("runAsGroup"):
        yield "runAsGroup is root's, or not a number"
    for mount in container.get("volumeMounts", []):
        if "subPath" in mount or "subPathExpr" in mount:
            yield f"{mount['name']}: subPath is not updated when the Secret changes"
        if mount.get("readOnly") is not True:
            yield f"{mount['name']}: mounted to be written"
    for variable in container.get("env", []):
        if "secretKeyRef" in variable.get("valueFrom", {}):
            yield f"{variable['name']}: a secret in the environment"
    if any("secretRef" in source for source in container.get("envFrom", [])):
        yield "envFrom: a secret in the environment"
