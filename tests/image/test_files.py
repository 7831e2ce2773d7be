"""What is in the image: little, nothing to work with for an intruder, and nothing that could be changed."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from image import base, build, engine
from image.root.accounts import USER_ID
from tests.image.container import podman, run_once
from tests.image.marks import LOCK, needs_image

pytestmark = needs_image

MOST_BYTES = 75e6
MOST_COMPRESSED_BYTES = 30e6
SHELLS = {"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "toybox", "zsh"}
PACKAGE_MANAGERS = {"apk", "apt", "apt-get", "aptitude", "conda", "dpkg", "easy_install", "pip", "pip3", "rpm", "uv"}
OTHER_TOOLS = {"awk", "busctl", "chmod", "curl", "nc", "perl", "su", "sudo", "tar", "wget"}
# The kernel starts the first for a program of the second kind.
LINKERS = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
EXECUTABLE, SHARED_OR_PIE = 2, 3
INTERPRETER_SEGMENT = 3
UNCHECKED_HASH = 0b01


def everything(root: Path) -> list[Path]:
    """Return all files, folders and links."""
    return [root, *root.rglob("*")]


def files(root: Path) -> list[Path]:
    """Return the regular files."""
    return [path for path in everything(root) if path.is_file() and not path.is_symlink()]


def is_elf_program(path: Path) -> bool:
    """Return whether it is a program that the kernel can start: fixed, or one that names a dynamic linker."""
    content = path.read_bytes()
    if not content.startswith(b"\x7fELF"):
        return False
    kind = int.from_bytes(content[16:18], "little")
    at, size, count = (
        int.from_bytes(content[0x20:0x28], "little"),
        int.from_bytes(content[0x36:0x38], "little"),
        int.from_bytes(content[0x38:0x3A], "little"),
    )
    segments = {int.from_bytes(content[at + size * n : at + size * n + 4], "little") for n in range(count)}
    return kind == EXECUTABLE or (kind == SHARED_OR_PIE and INTERPRETER_SEGMENT in segments)


def test_it_is_small(root: Path, figure: Callable[[str, str], None]) -> None:
    """At most 75 MB unpacked, and 30 MB as it is pulled."""
    size = sum(path.stat().st_size for path in files(root))
    with tarfile.open(build.ARCHIVE) as archive:
        # Also in it: links, by which older engines find the layers.
        members = [member for member in archive.getmembers() if member.isfile() and member.name.endswith(".tar")]
        layers = [archive.extractfile(member) for member in members]
        compressed = sum(len(gzip.compress(layer.read(), 6)) for layer in layers if layer)
    figure("size unpacked", f"{size / 1e6:.1f} MB in {len(files(root))} files")
    figure("size compressed", f"{compressed / 1e6:.1f} MB")
    assert size <= MOST_BYTES
    assert 1e6 < compressed <= MOST_COMPRESSED_BYTES


def test_nothing_makes_anyone_another_user(root: Path, figure: Callable[[str, str], None]) -> None:
    """No setuid, setgid or sticky bit, and no file capability."""
    special = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
    found = [path for path in everything(root) if path.lstat().st_mode & special]
    # A link has no attributes of its own, and none that a user may set.
    capable = [path for path in files(root) if "security.capability" in os.listxattr(path)]
    figure("setuid, setgid, sticky, capabilities", f"{len(found) + len(capable)}")
    assert found == [] and capable == []


def test_nobody_can_change_anything(root: Path) -> None:
    """All belongs to root, and neither group nor others may write it; the sidecar runs as another."""
    loose = stat.S_IWGRP | stat.S_IWOTH
    for path in everything(root):
        found = path.lstat()
        assert (found.st_uid, found.st_gid) == (0, 0), path
        assert stat.S_ISLNK(found.st_mode) or not found.st_mode & loose, path
        assert os.path.realpath(path).startswith(str(root)) or os.readlink(path).startswith("/"), path
    assert USER_ID != 0


def test_there_is_no_shell_and_no_package_manager(root: Path, figure: Callable[[str, str], None]) -> None:
    """By name, wherever it may lie, as a program or as a module of Python."""
    unwanted = SHELLS | PACKAGE_MANAGERS | OTHER_TOOLS
    found = [path for path in everything(root) if path.name in unwanted and not path.is_dir()]
    modules = {"ensurepip", "pip", "setuptools", "wheel", "flit_core"}
    found += [path for path in everything(root) if path.stem in modules and "dist-info" not in path.name]
    figure("shells, package managers, tools", f"{len(found)}")
    assert found == []


def test_two_programs_can_be_started(root: Path) -> None:
    """The interpreter and the sidecar's own command; nothing else has the bit for it but the dynamic linker."""
    able = [path for path in files(root) if path.stat().st_mode & 0o111]
    assert {path.name for path in able} - LINKERS == {"python3.13", "sidecar"}
    assert {path.name for path in able if is_elf_program(path)} - LINKERS == {"python3.13"}


def test_every_module_is_compiled_for_good(root: Path) -> None:
    """Each has byte code that is taken unasked, whatever the file's time; under a read-only root, none comes later."""
    modules = [path for path in files(root) if path.suffix == ".py"]
    assert len(modules) > 500
    for module in modules:
        code = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
        assert int.from_bytes(code.read_bytes()[4:8], "little") == UNCHECKED_HASH, module


def test_its_certificates_are_the_bases(root: Path) -> None:
    """None of the building machine's own authorities came along, and no other trace of how it reached its index."""
    reference = os.environ.get("BASE") or base.NAME
    mounted = podman("image", "mount", reference)
    try:
        place = "etc/ssl/certs/ca-certificates.crt"
        bundle = (root / place).read_bytes()
        assert bundle == (Path(mounted.out.strip()) / place).read_bytes()
    finally:
        podman("image", "unmount", reference)
    assert bundle.count(b"BEGIN CERTIFICATE") > 100
    settings = engine.call([*engine.podman_command(), "inspect", build.NAME])
    history = engine.call([*engine.podman_command(), "history", "--no-trunc", build.NAME])
    assert not [path for path in files(root) if path.name in ("pip.conf", "ca.pem")]
    assert "pip.conf" not in settings + history


def test_all_of_the_sidecar_can_be_imported() -> None:
    """Nothing that it needs of Python's library was left out; the two that ask for an extra are told apart."""
    script = (
        "import importlib, pkgutil, sidecar\n"
        "for module in pkgutil.walk_packages(sidecar.__path__, 'sidecar.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        print(importlib.import_module(module.name).__name__)"
    )
    ended = run_once("-W", "error", "-c", script, program=["python3.13"])
    assert ended.code == 0, ended.err
    assert len(ended.out.split()) > 100


@pytest.mark.parametrize("module", ["cryptography", "jwt"])
def test_what_signs_is_there_where_it_was_asked_for(module: str) -> None:
    """15 MB that the image does without, unless it was built with LOCK=sign."""
    ended = run_once("-c", f"import {module}", program=["python3.13"])
    assert (ended.code == 0) == (LOCK == "sign"), ended.err
