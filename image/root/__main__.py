"""`python3 -m image.root`: from the first stage's file system to the final image's root, in one go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from image.root import accounts, compiled, debian, interpreter, sbom
from image.root.libraries import libraries_of
from image.root.tree import Tree

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Where the runtime mounts things; without them a read-only root could not be given any.
MOUNT_POINTS = ("dev", "proc", "sys", "etc/sidecar", "run/secrets/sidecar")


def main() -> int:
    """Assemble it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m image.root", description=__doc__)
    parser.add_argument("--environment", type=Path, required=True, help="the virtual environment to be served")
    parser.add_argument("--into", type=Path, required=True, help="an empty folder: the root of the image")
    parser.add_argument("--epoch", type=int, default=0, help="the time that every file gets, in seconds since 1970")
    args = parser.parse_args()
    tree = Tree(args.into)
    tree.folders(MOUNT_POINTS)
    interpreter.put(tree)
    interpreter.put_environment(tree, args.environment)
    for library in libraries_of(tree.binaries()):
        tree.put(library)
    tree.put(CA_BUNDLE)
    accounts.put(tree)
    tree.index_libraries()
    packages = debian.packages_of(tree.sources())
    debian.put(tree, packages)
    sbom.put(tree, args.environment, packages)
    compiled.compile_all(tree)
    tree.settle(args.epoch)
    print(f"{tree.size_bytes() / 1e6:.1f} MB in {args.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
