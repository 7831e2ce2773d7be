"""What is said of a key file that others can read, or put another key into. Advice: the key is used all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.credentials.key_file import FileKey, advice_on

ME, OTHER, ROOT, UNKNOWN = 1000, 1001, 0, 65534
READ = "file key can be read by others on this machine (mode {mode:04o}); 0600 is enough"


def advice(mode: int, owner: int = ME, *, mounted: bool = False) -> str | None:
    """Return what is said of a file of this mode and owner to the user `ME`."""
    status = os.stat_result((0o100000 | mode, 1, 1, 1, owner, owner, 3, 0, 0, 0))
    return advice_on(status, "file key", mounted=mounted, user=ME)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o200, 0o700])
def test_one_of_ours_alone(mode: int) -> None:
    """Nothing is said of it."""
    assert advice(mode) is None


@pytest.mark.parametrize("mode", [0o640, 0o660, 0o620, 0o604, 0o644, 0o602, 0o666])
def test_one_of_ours_for_others_too(mode: int) -> None:
    """Its mode, and what would do."""
    assert advice(mode) == READ.format(mode=mode)


@pytest.mark.parametrize(("mode", "said"), [(0o440, False), (0o640, False), (0o444, True), (0o644, True)])
def test_one_of_roots(mode: int, said: bool) -> None:
    """Its group may read it, as that is how we can: so it is with systemd, and with Docker's secrets."""
    assert (advice(mode, ROOT) is not None) == said


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o640, 0o444, 0o644])
def test_one_in_a_volume_of_kubernetes(mode: int) -> None:
    """Nothing is said of it, whoever owns it: only containers that mount the volume can read it."""
    for owner in (ROOT, ME, OTHER):
        assert advice(mode, owner, mounted=True) is None


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_one_of_somebody_elses(mode: int) -> None:
    """Who can put another key there, whatever its mode."""
    assert advice(mode, OTHER) == "file key belongs to another user (id 1001), who can put another key there"


def test_one_whose_owner_is_not_known_here() -> None:
    """In a user namespace, of a file from outside: nothing can be said of it."""
    assert advice(0o400, UNKNOWN) is None


@pytest.mark.parametrize("mode", [0o600, 0o644])
async def test_a_real_file(tmp_path: Path, mode: int) -> None:
    """As of the last read; before it there is nothing to say."""
    path = tmp_path / "key"
    path.write_bytes(b"key")
    source = FileKey(path)
    assert source.advice is None
    path.chmod(mode)
    assert (await source.read()).reveal() == b"key"
    assert (source.advice is None) == (mode == 0o600)


async def test_a_real_volume(tmp_path: Path) -> None:
    """It is known by the link `..data`, which nobody else has; its files come whole, so that the newest may be used."""
    (tmp_path / "..day").mkdir()
    (tmp_path / "..day" / "key").write_text("key")
    (tmp_path / "..day" / "key").chmod(0o644)
    (tmp_path / "..data").symlink_to("..day")
    (tmp_path / "key").symlink_to("..data/key")
    source = FileKey(tmp_path / "key")
    await source.read()
    assert source.advice is None
    assert source.written_at == 0
    plain = FileKey(tmp_path / "..day" / "key")
    await plain.read()
    assert plain.advice is not None
    assert plain.written_at > 0
