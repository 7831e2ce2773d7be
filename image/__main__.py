"""`python -m image`: install what is missing, make a base, build the image, check it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from image import base, build, engine, figures, install


def main() -> int:
    """Do it; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m image",
        description="Builds the container image and checks it, without a registry or a daemon.",
        epilog="example:\n  make image LOCK=sign",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    base_image = os.environ.get("BASE")
    parser.add_argument("--base", default=base_image, help="an image to build from (BASE), instead of one made here")
    locks = ("run", "sign")
    lock = os.environ.get("LOCK", "run")
    parser.add_argument("--lock", choices=locks, default=lock, help="sign: with what the signing presets need (LOCK)")
    parser.add_argument("--no-checks", action="store_true", help="build it, no more")
    args = parser.parse_args()
    if not install.install():
        return 2
    began = time.monotonic()
    try:
        name = build.build(args.base or base.ensure(), args.lock)
        build.save()
    except (engine.EngineError, subprocess.SubprocessError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    place = build.ARCHIVE.relative_to(engine.PROJECT)
    print(f"image: {name} built in {time.monotonic() - began:.0f} s; docker load < {place}")
    return 0 if args.no_checks else _check(args.lock)


def _check(lock: str) -> int:
    """Run the tests that need the image, one after another: they measure."""
    command = [sys.executable, "-m", "pytest", "--numprocesses=0", "tests/image"]
    environment = os.environ | {"SIDECAR_IMAGE": "1", "LOCK": lock}
    figures.forget()
    code = subprocess.run(command, cwd=engine.PROJECT, env=environment, check=False).returncode
    print(figures.shown())
    return code


if __name__ == "__main__":
    sys.exit(main())
