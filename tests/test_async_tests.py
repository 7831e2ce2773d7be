"""The hook that runs async tests: it must fail what it promises to fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


async def test_an_async_test_runs_on_a_loop(tmp_path: Path) -> None:
    """The body runs, with its fixtures."""
    await asyncio.sleep(0)
    assert tmp_path.is_dir()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise AssertionError('from the body')", "from the body"),
        ("asyncio.get_running_loop().create_task(asyncio.sleep(60))", "tasks left behind"),
        ("asyncio.get_running_loop().call_soon(lambda: 1 / 0); await asyncio.sleep(0.01)", "unhandled exception"),
        ("await asyncio.sleep(60)", "Timeout"),
    ],
)
def test_what_an_async_test_must_not_do(pytester: pytest.Pytester, body: str, message: str) -> None:
    """A failure, a task left behind, an unhandled exception and an overrun each fail the test."""
    pytester.makeconftest("pytest_plugins = ['tests.async_tests']")
    pytester.makepyfile(f"import asyncio, pytest\n@pytest.mark.timeout(1.5)\nasync def test_it():\n    {body}\n")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{message}*"])
