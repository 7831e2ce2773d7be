"""Byte code for every module: under a read-only root none can be written later, and each start would compile anew."""

from __future__ import annotations

import compileall
import py_compile

from image.root.tree import Tree


def compile_all(tree: Tree) -> None:
    """Compile every module, unchecked: the files never change, so nothing has to be asked about them at a start.

    Raises:
        RuntimeError: a module is no Python.
    """
    fine = compileall.compile_dir(
        str(tree.root),
        maxlevels=40,
        quiet=1,
        stripdir=str(tree.root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=0,  # one for each core
    )
    if not fine:
        raise RuntimeError("a module could not be compiled; see above which")
