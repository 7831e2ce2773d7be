"""The accounts and the little configuration that glibc looks for."""

from __future__ import annotations

from image.root.tree import Tree

# The number that distroless images use; a Kubernetes `runAsNonRoot` can check a number, not a name.
USER_ID = 65532
NO_HOME, NO_SHELL = "/nonexistent", "/nonexistent"


def put(tree: Tree) -> None:
    """Write the accounts, and in which order names are looked up."""
    tree.write("/etc/passwd", f"root:x:0:0:root:{NO_HOME}:{NO_SHELL}\n{_account()}\n")
    tree.write("/etc/group", f"root:x:0:\nsidecar:x:{USER_ID}:\n")
    tree.write("/etc/nsswitch.conf", "hosts: files dns\n")


def _account() -> str:
    return f"sidecar:x:{USER_ID}:{USER_ID}:sidecar:{NO_HOME}:{NO_SHELL}"
