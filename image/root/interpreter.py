"""Python itself: the program, the part of its library that is served, and the environment with the packages."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from image.root.tree import Tree

# What no server needs: installers, development tools, desktop toolkits, terminals, databases, and other packages' places.
UNSERVED = frozenset(
    {
        *("site-packages", "dist-packages", "EXTERNALLY-MANAGED", "sitecustomize.py"),
        *("ensurepip", "venv", "idlelib", "lib2to3", "turtledemo", "turtle.py", "tkinter", "test", "pydoc_data"),
        *("curses", "dbm", "sqlite3", "_pyrepl", "__phello__", "unittest", "distutils", "xmlrpc"),
    }
)
# Extension modules of the above, and what only they would pull in: terminals' and databases' libraries.
UNSERVED_EXTENSIONS = (
    *("_sqlite3", "_curses", "_curses_panel", "_dbm", "_gdbm", "_tkinter", "readline", "_crypt", "nis", "ossaudiodev"),
    *("_test", "_xx", "xx", "_ctypes_test"),
)


def put(tree: Tree) -> None:
    """Copy the interpreter and its library."""
    tree.put(Path(sys.executable).resolve())
    library = Path(sysconfig.get_path("stdlib"))
    extensions = library / "lib-dynload"
    # What is compiled against the interpreter, and the static library of it, are for developers.
    development = {path.name for path in library.glob("config-*")}
    tree.put_all(library, UNSERVED | development | {extensions.name})
    unserved = {path.name for path in extensions.iterdir() if path.name.startswith(UNSERVED_EXTENSIONS)}
    tree.put_all(extensions, frozenset(unserved))


def put_environment(tree: Tree, environment: Path) -> None:
    """Copy the virtual environment: its packages, its interpreter's link, and of its commands `sidecar` alone."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    tree.put(environment / "pyvenv.cfg")
    tree.put(environment / "bin" / "sidecar")
    link = tree.inside(environment / "bin" / name)
    # The link that `venv` made may lead over another (python3 -> python3.13); this one does not.
    link.symlink_to(os.path.realpath(sys.executable))
    tree.put_all(environment / "lib", frozenset())
