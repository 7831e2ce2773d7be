"""curl, as a person types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.asks import ASKS, ONE_MIB, Ask, Got, assert_same, content, got
from tests.clients.mirror import TICKS
from tests.clients.stand import Stand
from tests.servers import programs

TIMEOUT_S = 20


def curl(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run curl, without anybody's configuration."""
    command = [
        programs.require("curl"),
        "-q",
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "10",
        *arguments,
    ]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False)


def answer(folder: Path, *arguments: str | Path, stdin: bytes = b"", code: int = 0) -> Got:
    """Run curl for one URL, and return the last answer that it got."""
    body, head = folder / "body", folder / "head"
    body.write_bytes(b"")
    done = curl("--dump-header", head, "--output", body, *arguments, stdin=stdin)
    assert done.returncode == code, done.stderr
    start, *lines = head.read_bytes().decode("latin-1").rstrip("\r\n").split("\r\n\r\n")[-1].split("\r\n")
    _, status, reason = start.split(" ", 2)
    pairs = [line.partition(":") for line in lines]
    content = b"" if "--head" in arguments else body.read_bytes()  # to HEAD, curl's output is the head
    return got(int(status), reason, [(name, value.strip()) for name, _, value in pairs], content)


def options(ask: Ask, folder: Path) -> list[str | Path]:
    """Return how a person asks curl for this."""
    fields = [f"{name}: {value}" for name, value in ask.fields] + ["Authorization: Bearer of-the-app"]
    given: list[str | Path] = [part for field in fields for part in ("-H", field)]
    if ask.body is not None:
        (folder / "sent").write_bytes(ask.body)
        sent = "-" if ask.chunked else str(folder / "sent")
        given += ["--upload-file", sent] if ask.method == "PUT" or ask.chunked else ["--data-binary", f"@{sent}"]
    given += ["--head"] if ask.method == "HEAD" else ["--request", ask.method]
    return [
        *given,
        "--path-as-is",
        "--location",
        "--compressed" if "gzip" in str(ask.fields) else "--no-progress-meter",
    ]


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_it_gets_through_the_sidecar_what_it_gets_directly(at: Stand, tmp_path: Path, version: str) -> None:
    """Also where it offers HTTP/2 (`Upgrade: h2c`) with each request; > 1 MiB goes with Expect, `-T -` goes chunked."""

    def ask_all(through: bool) -> list[Got]:
        urls = [at.through(ask) if through else at.direct(ask) for ask in ASKS]
        pairs = zip(ASKS, urls, strict=True)
        return [answer(tmp_path, version, *options(ask, tmp_path), url, stdin=ask.body or b"") for ask, url in pairs]

    direct = ask_all(through=False)
    at.nginx.seen(at_least=sum(not ask.path.startswith("/mirror/") for ask in ASKS))
    at.nginx.forget()
    at.mirror.forget()
    assert_same(ASKS, direct, ask_all(through=True))
    at.assert_ours_alone()


# HTTP/1.0 knows neither chunks nor codings that it did not ask for.
OLD_ASKS = (Ask("GET", "/files/one"), Ask("GET", "/chunked/one"), Ask("POST", "/sink", body_bytes=3 * ONE_MIB))


def test_http_1_0_gets_what_it_gets_directly(at: Stand, tmp_path: Path) -> None:
    """Also what the upstream sends in chunks: to this client it ends with the connection."""
    direct = [answer(tmp_path, "--http1.0", *options(ask, tmp_path), at.direct(ask)) for ask in OLD_ASKS]
    through = [answer(tmp_path, "--http1.0", *options(ask, tmp_path), at.through(ask)) for ask in OLD_ASKS]
    assert_same(OLD_ASKS, direct, through)


def test_expect_is_answered_before_curl_stops_waiting(at: Stand, tmp_path: Path) -> None:
    """It is sent with more than 1 MiB; the upstream's "go on" comes through, and none was made up before it."""
    (tmp_path / "sent").write_bytes(content(3 * ONE_MIB))
    done = curl("-v", "-o", "/dev/null", "-w", "%{http_code}", "-T", tmp_path / "sent", f"{at.url}/upload/three")
    assert b"> Expect: 100-continue" in done.stderr and done.stderr.count(b"< HTTP/1.1 100 Continue") == 1
    assert b"Done waiting for 100-continue" not in done.stderr  # what it says after a second
    assert done.stdout == b"201"


def test_requests_follow_each_other_on_one_connection(at: Stand) -> None:
    """`--next`: whatever the one before was, an upload, a HEAD or a 404."""
    count = ("-w", "%{http_code} %{num_connects}\\n", "-o", "/dev/null")
    first = (*count, "-X", "POST", "--data-binary", "x" * 5000, f"{at.url}/sink")
    done = curl(
        *first,
        "--next",
        *count,
        "-I",
        f"{at.url}/files/one",
        "--next",
        *count,
        f"{at.url}/status/404",
        "--next",
        *count,
        "-X",
        "DELETE",
        f"{at.url}/mirror/x",
        "--next",
        *count,
        f"{at.url}/chunked/one",
    )
    assert done.stdout.split(b"\n")[:-1] == [b"200 1", b"200 0", b"404 0", b"200 0", b"200 0"], done.stderr


def test_many_at_once(at: Stand) -> None:
    """`--parallel`: forty, each with its own answer."""
    done = curl("--parallel", "--parallel-max", "20", f"{at.url}/number/[1-40]")
    assert sorted(done.stdout.split()[1::2]) == sorted(b"/number/%d" % count for count in range(1, 41)), done.stderr


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_offer_of_http2_is_served_as_http_1_1(at: Stand, method: str) -> None:
    """`--http2` asks for an upgrade (RFC 7540 3.2); the upstream hears nothing of it."""
    done = curl("--http2", "-v", "-w", "\\n%{http_version}", "-X", method, f"{at.url}/mirror/x", "-d", "a=1")
    assert b"> Upgrade: h2c" in done.stderr and b"> HTTP2-Settings: " in done.stderr
    seen, version = done.stdout.rsplit(b"\n", 1)
    assert version == b"1.1"
    names = {name.lower() for name, _ in json.loads(seen)["fields"]}
    assert names == {"user-agent", "accept", "content-length", "content-type"}


def test_http2_without_asking_is_refused_with_a_clear_line(at: Stand) -> None:
    """`--http2-prior-knowledge`: curl fails as it does on nginx, the log says what is wrong, and nothing goes on."""
    direct = curl("--http2-prior-knowledge", f"{at.nginx.http_url}/x").returncode
    at.nginx.seen(at_least=1)
    at.nginx.forget()
    before = at.sidecar.output()
    assert curl("--http2-prior-knowledge", f"{at.url}/x").returncode == direct != 0
    lines = [json.loads(line) for line in at.sidecar.output().removeprefix(before).splitlines()]
    assert "refused: HTTP/2 without TLS is not spoken here: use HTTP/1.1 (400)" in [line["message"] for line in lines]
    assert at.nginx.seen() == []


def test_a_unix_socket_serves_the_same(at: Stand) -> None:
    """`--unix-socket`, with the usual Host."""
    done = curl("--unix-socket", at.socket, "http://localhost/files/one")
    assert done.stdout == content(ONE_MIB), done.stderr
    at.assert_ours_alone()


def test_a_download_goes_on_where_it_stopped(at: Stand, tmp_path: Path) -> None:
    """`-C -`: from what is there of the file."""
    (tmp_path / "part").write_bytes(content(300_000))
    done = curl("-C", "-", "-o", tmp_path / "part", "-w", "%{http_code}", f"{at.url}/files/one")
    assert done.stdout == b"206", done.stderr
    assert (tmp_path / "part").read_bytes() == content(ONE_MIB)


def test_forms_and_cookies(at: Stand, tmp_path: Path) -> None:
    """`-F` posts a multipart form, and the jar sends back both cookies of the answer."""
    (tmp_path / "sent").write_bytes(content(200_000))
    form = ("-F", f"file=@{tmp_path / 'sent'}", "-F", "name=value")
    posted = dict(json.loads(curl("-c", tmp_path / "jar", *form, f"{at.url}/mirror/form").stdout)["fields"])
    assert posted["Content-Type"].startswith("multipart/form-data; boundary=")
    assert int(posted["Content-Length"]) > 200_000
    again = dict(json.loads(curl("-b", tmp_path / "jar", f"{at.url}/mirror/again").stdout)["fields"])
    assert set(again["Cookie"].split("; ")) == {"a=1", "b=2"}


def test_events_arrive_one_by_one(at: Stand) -> None:
    """`-N`: each before the next is sent."""
    command = [
        str(programs.require("curl")),
        "-q",
        "-sSN",
        "--noproxy",
        "*",
        "--max-time",
        "10",
        f"{at.url}/mirror/ticks",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = []
        for line in filter(bytes.strip, process.stdout):
            lines.append(line)
            at.mirror.go.release()
    assert lines == [b"data: tick %d\n" % count for count in range(TICKS)] and process.returncode == 0


def test_an_upload_goes_out_piece_by_piece(at: Stand) -> None:
    """`-T -`: each piece of standard input arrives before the next is written."""
    command = [
        str(programs.require("curl")),
        "-q",
        "-sST",
        "-",
        "--noproxy",
        "*",
        "--max-time",
        "10",
        f"{at.url}/mirror/up",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for count in range(3):
            assert at.mirror.wait_for_pieces(count)
            process.stdin.write(b"piece %d" % count)
            process.stdin.flush()
        process.stdin.close()
        seen = json.loads(process.stdout.read())
    assert (seen["method"], seen["size"], process.returncode) == ("PUT", 21, 0)
