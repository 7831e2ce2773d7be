"""Python itself: the program, the part of its library that is served, and the environment with the packages."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from image.root.elf import drop_debug_information
from image.root.tree import Tree

# What no server needs: installers, development tools, desktops, terminals, databases, and other packages' places.
UNSERVED = frozenset(
    {
        *("site-packages", "dist-packages", "EXTERNALLY-MANAGED", "sitecustomize.py"),
        *("ensurepip", "venv", "idlelib", "lib2to3", "turtledemo", "turtle.py", "tkinter", "test", "pydoc_data"),
        *("curses", "dbm", "sqlite3", "_pyrepl", "__phello__", "unittest", "distutils", "xmlrpc"),
    }
)
# What is compiled against the interpreter; the extension modules of the above, with terminals' libraries.
UNSERVED_BEGINNINGS = (
    *("config-", "_test", "_xx", "xx", "_ctypes_test"),
    *("_sqlite3", "_curses", "_dbm", "_gdbm", "_tkinter", "readline", "_crypt", "nis", "ossaudiodev"),
)
# What C compilers, Cython and type checkers read.
UNSERVED_SUFFIXES = frozenset({".c", ".h", ".pxd", ".pyi", ".pyx"})


def put(tree: Tree) -> None:
    """Copy the interpreter and its library."""
    tree.put(Path(sys.executable).resolve())
    library = Path(sysconfig.get_path("stdlib"))
    places = (library, library / "lib-dynload")
    tree.put_all(library, lambda path: path.parent in places and _is_unserved(path.name))


def put_environment(tree: Tree, environment: Path) -> None:
    """Copy the virtual environment: its packages, its interpreter's link, and of its commands `sidecar` alone."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    tree.put(environment / "pyvenv.cfg")
    tree.put(environment / "bin" / "sidecar")
    # The link that `venv` made may lead over another (python3 -> python3.13); this one does not.
    tree.inside(environment / "bin" / name).symlink_to(Path(sys.executable).resolve())
    tree.put_all(environment / "lib", lambda path: path.suffix in UNSERVED_SUFFIXES)
    for extension in tree.inside(environment / "lib").rglob("*.so*"):
        drop_debug_information(extension)


def _is_unserved(name: str) -> bool:
    return name in UNSERVED or name.startswith(UNSERVED_BEGINNINGS)
