"""Keys from their sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials import key_file
from sidecar.credentials.key_file import FileKey
from sidecar.credentials.keys import MOST_KEY_BYTES, EnvironmentKey, KeySource, LiteralKey, clean_key
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

GOOD = [
    b"gct_canary",
    b"gct_canary\n",
    b"gct_canary\r\n",
    b"\xef\xbb\xbfgct_canary",
    b"\xef\xbb\xbfgct_canary\r\n",
]
BAD = [
    b"",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"canary\n\n",
    b"canary\r\r\n",
    b"canary\r",
    b"\ncanary",
    b" canary",
    b"canary ",
    b"canary canary",
    b"canary\tcanary",
    b"canary\ncanary",
    b"canary\x00",
    b"canary\x7f",
    b"canary\x1b[31m",
    "canaryé".encode(),
    b"canary\xff",
    b"canary\xef\xbb\xbf",
    b"\xef\xbb\xbf\xef\xbb\xbfcanary",
    "canary".encode("utf-16"),
    b"canary" + b"a" * MOST_KEY_BYTES,
]


async def refusal(source: KeySource) -> str:
    """Read a source that holds no key, and return what it says of that."""
    with pytest.raises(KeyUnavailable) as refused:
        await source.read()
    return str(refused.value)


@pytest.mark.parametrize("content", GOOD)
async def test_a_key_in_a_file(tmp_path: Path, content: bytes) -> None:
    """A byte order mark before it and one line end after it are no part of a key."""
    path = tmp_path / "key"
    path.write_bytes(content)
    assert (await FileKey(path).read()).reveal() == b"gct_canary"


@pytest.mark.parametrize("content", BAD)
async def test_what_cannot_be_a_key_in_a_file(tmp_path: Path, content: bytes) -> None:
    """It is refused as a whole; the sentence names the file and nothing that it holds."""
    path = tmp_path / "key"
    path.write_bytes(content)
    text = await refusal(FileKey(path))
    assert text.startswith(f"file {path} ")
    assert "canary" not in text


@pytest.mark.parametrize("octet", [*range(0x21), *range(0x7F, 0x100)])
def test_every_byte_that_no_key_holds(octet: int) -> None:
    """Controls, space and non-ASCII are refused inside a key, each of them."""
    with pytest.raises(KeyUnavailable, match=r"^here holds "):
        clean_key(b"a" + bytes([octet]) + b"b", "here")


@given(st.binary(max_size=40))
def test_a_key_is_whole_and_visible_or_refused(content: bytes) -> None:
    """Whatever a source holds: nothing but a byte order mark before it and one line end after it is taken away."""
    try:
        key = clean_key(content, "here").reveal()
    except KeyUnavailable as refused:
        assert str(refused) in (
            "here is empty",
            "here holds spaces, control characters or non-ASCII, which no API key has",
        )
        return
    assert key and all(0x21 <= octet <= 0x7E for octet in key)
    assert content in {mark + key + end for mark in (b"", b"\xef\xbb\xbf") for end in (b"", b"\n", b"\r\n")}


@given(st.binary(min_size=1, max_size=40).map(lambda noise: bytes(0x21 + octet % 0x5E for octet in noise)))
def test_every_visible_key_is_taken_as_it_is(key: bytes) -> None:
    """With what an editor puts around it, too."""
    for content in (key, key + b"\n", key + b"\r\n", b"\xef\xbb\xbf" + key + b"\r\n"):
        assert clean_key(content, "here").reveal() == key


@pytest.mark.parametrize("around", [(b"", b""), (b"\xef\xbb\xbf", b"\r\n")])
async def test_the_longest_key(tmp_path: Path, around: tuple[bytes, bytes]) -> None:
    """64 KiB are a key, with or without a mark and a line end around them."""
    path = tmp_path / "key"
    path.write_bytes(around[0] + b"a" * MOST_KEY_BYTES + around[1])
    assert len((await FileKey(path).read()).reveal()) == MOST_KEY_BYTES


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The sentence says which file, and what the system says."""
    assert (
        await refusal(FileKey(tmp_path / "none")) == f"file {tmp_path}/none cannot be read: No such file or directory"
    )


async def test_a_directory_is_no_key_file(tmp_path: Path) -> None:
    """It is refused, and no file descriptor stays open behind it."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert await refusal(FileKey(tmp_path)) == f"file {tmp_path} cannot be read: Is a directory"
    assert len(os.listdir("/proc/self/fd")) < before + 10


async def test_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    """Reading one does not wait for its writer."""
    os.mkfifo(tmp_path / "pipe")
    assert await refusal(FileKey(tmp_path / "pipe")) == f"file {tmp_path}/pipe is not a regular file"


async def test_a_path_that_is_none() -> None:
    """A NUL in a path is an answer too."""
    assert (await refusal(FileKey("a\0b"))).endswith("cannot be read: not a path")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_a_file_without_permission(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    path = tmp_path / "key"
    path.touch(mode=0)
    assert (await refusal(FileKey(path))).endswith("cannot be read: Permission denied")


@pytest.mark.parametrize("content", GOOD)
async def test_a_key_in_the_environment(content: bytes) -> None:
    """A variable is cleaned like a file: many are made from one."""
    source = EnvironmentKey("VENDOR_KEY", {"VENDOR_KEY": os.fsdecode(content)})
    assert (await source.read()).reveal() == b"gct_canary"


@pytest.mark.parametrize("content", BAD)
async def test_what_cannot_be_a_key_in_the_environment(content: bytes) -> None:
    """The sentence names the variable and nothing that it holds."""
    text = await refusal(EnvironmentKey("VENDOR_KEY", {"VENDOR_KEY": os.fsdecode(content)}))
    assert text.startswith("environment variable VENDOR_KEY ")
    assert "canary" not in text


async def test_a_variable_that_is_not_set() -> None:
    """Which is something else than an empty one."""
    assert await refusal(EnvironmentKey("VENDOR_KEY", {})) == "environment variable VENDOR_KEY is not set"


async def test_a_key_in_the_configuration() -> None:
    """A literal key obeys the same rules."""
    assert (await LiteralKey(Secret("key")).read()).reveal() == b"key"
    assert await refusal(LiteralKey(Secret(""))) == "the configuration is empty"


def test_what_sources_say_of_themselves() -> None:
    """Of these only a file can change while the process runs."""
    credential = FileKey("/run/credentials/a", kind="systemd", description="systemd credential a")
    sources: list[KeySource] = [FileKey("a/b"), credential, EnvironmentKey("NAME", {}), LiteralKey(Secret("x"))]
    assert [(source.kind, source.description, source.watched) for source in sources] == [
        ("file", "file a/b", True),
        ("systemd", "systemd credential a", True),
        ("env", "environment variable NAME", False),
        ("value", "the configuration", False),
    ]


async def test_a_machine_without_a_thread_to_spare_is_a_source_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else fails for it: whoever watches the key looks again later."""

    async def no_thread(*_: object) -> bytes:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(key_file, "aside", no_thread)
    with pytest.raises(KeyUnavailable, match="no thread"):
        await FileKey(tmp_path / "key").read()
