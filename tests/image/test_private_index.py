"""The caller's pip settings reach the build as secrets: how to get at an index, and nothing that is on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from image.build import secrets

INDEX = "https://user:word@pypi.example.com/simple"


def files(flags: list[str]) -> dict[str, Path]:
    """Return the secrets' files by their ids."""
    pairs = [dict(word.split("=", 1) for word in flag.split(",")) for flag in flags if flag != "--secret"]
    return {pair["id"]: Path(pair["src"]) for pair in pairs}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Settings by the environment alone; returns the file of the caller's certificate authorities."""
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", INDEX)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "file:///srv/simple https://more.example.com/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/srv/wheels")
    monkeypatch.setenv("PIP_CERT", str(authority))
    return authority


def test_the_index_is_handed_over(environment: Path) -> None:
    """With its authority under the name that it has inside, and no longer than the build; no folder of this machine."""
    with secrets() as flags:
        found = files(flags)
        assert "word" not in " ".join(flags)  # anyone may read arguments
        lines = found["pip.conf"].read_text().splitlines()
        assert found["pip.conf"].stat().st_mode & 0o077 == 0
        assert found["ca.pem"] == environment
    assert lines[0] == "[global]"
    assert set(lines[1:]) >= {
        f"index-url = {INDEX}",
        "extra-index-url = https://more.example.com/simple",
        "cert = /run/secrets/ca.pem",
    }
    assert "/srv" not in "".join(lines)
    assert not found["pip.conf"].exists()


def test_a_certificate_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build then fails or not by itself, with pip's own words."""
    monkeypatch.setenv("PIP_CERT", "/nonexistent/ca.pem")
    with secrets() as flags:
        assert set(files(flags)) == {"pip.conf"}
