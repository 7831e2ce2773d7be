"""Runs `sidecar init` in a home of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.config import Config, load


@dataclass(frozen=True)
class Home:
    """An empty home, in which commands run."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        """Where the configuration goes by itself."""
        return self.folder / ".config" / "sidecar" / "config.yaml"

    def init(self, *arguments: str, code: int = 0) -> str:
        """Run `sidecar init`; return what it said, on standard error where it has failed."""
        assert main(["init", *arguments]) == code
        said = self.capsys.readouterr()
        return said.err if code else said.out

    def files(self) -> set[str]:
        """Return every file that is there."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def loaded(self, path: Path | None = None, **environ: str) -> Config:
        """Read the configuration as `check` does."""
        return load(path=str(path or self.config), flags={}, environ={"HOME": str(self.folder), **environ})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Home:
    """A home without anything in it, which is the working directory too."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(folder)
    return Home(folder, capsys)
