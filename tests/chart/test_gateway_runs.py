"""The gateway's configuration as Helm renders it, run by the program; and what `helm test` says of it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chart.documents import Document
from tests.chart.gateway import LEAST, configuration, of_kind
from tests.chart.helm import Helm
from tests.cli.command import Ended, python, sidecar
from tests.fakes import Message, always, response, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.process import SidecarProcess
from tests.ports import free_port

NAMES = ("demo-sidecar", "demo-sidecar.apps", "demo-sidecar.apps.svc", "demo-sidecar.apps.svc.cluster.local")


class Gateway:
    """One pod of the gateway, and what Helm rendered for it."""

    def __init__(self, process: SidecarProcess, manifests: list[Document]) -> None:
        self.process = process
        self.manifests = manifests
        self.client = Client(process.port)
        self.admin = Admin(process.admin_port)

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        return f"http://127.0.0.1:{self.process.port}/"

    async def asked_as(self, host: str, *lines: str) -> Message:
        """Return the answer to a request with this Host, and more lines in its head."""
        async with self.client.connected() as wire:
            await wire.send("\r\n".join(["GET / HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode())
            return await wire.response()


@asynccontextmanager
async def running(
    helm: Helm, chart: Path, folder: Path, answer: bytes, values: Mapping[str, object] | None = None
) -> AsyncIterator[Gateway]:
    """Run what the chart configures, in front of an upstream that answers this.

    Changed is only what this machine has elsewhere: the folder of the Secret, and the ports.
    """
    (folder / "api-key").write_text("key-of-the-gateway\n")
    process = SidecarProcess(folder, {})
    async with upstream(always(answer)) as server:
        rendered = helm.template(
            chart,
            values={
                **LEAST,
                "preset": "static",
                "upstream": "",
                "drain": {"lameDuckSeconds": 0},
                "ports": {"proxy": process.port, "admin": process.admin_port},
                "config": {"upstream": f"http://127.0.0.1:{server.port}", "log": {"level": "warning"}},
                **(values or {}),
            },
        )
        whole = configuration(rendered)
        whole["credential"]["api_key"] = {"file": str(folder / "api-key")}
        if "require_token" in whole["gate"]:
            whole["gate"]["require_token"] = {"file": str(folder / "token")}
        process.configure(whole)
        await asyncio.to_thread(process.start)
        try:
            gateway = Gateway(process, rendered)
            await gateway.admin.ready()
            yield gateway
        finally:
            await asyncio.to_thread(process.stop)


def helm_test(manifests: list[Document], url: str, *token_file: Path) -> Ended:
    """Run what the test's pod runs, with another URL and another place of the token's file."""
    (container,) = of_kind(manifests, "Pod")["spec"]["containers"]
    option, script, *arguments = container["args"]
    assert option == "-c"
    assert len(arguments) == 1 + len(token_file)
    return python("-c", script, url, *map(str, token_file))


async def test_a_pod_from_its_start_to_its_end(helm: Helm, gateway: Path, tmp_path: Path) -> None:
    """Apps ask by the Service's names and by what was added; the admin port has health and metrics alone.

    `helm test` passes whatever the upstream answers, and follows no redirect. Told to stop, it is not ready at once and
    serves new connections all the same, until its endpoints have left; then it ends with 0.
    """
    answer = response(b"", "Location: http://127.0.0.1:1/", status="302 Found")
    values = {"gate": {"hosts": ["api.internal"]}, "drain": {"lameDuckSeconds": 2, "mostSeconds": 2}}
    async with running(helm, gateway, tmp_path, answer, values) as pod:
        for name in (*NAMES, "api.internal"):
            assert (await pod.asked_as(name)).status == 302, name
        # Any other Host is refused, as a page has one that rebinds its name.
        for name in ("demo-sidecar.other", "evil.example", "demo-sidecar:9000"):
            assert (await pod.asked_as(name)).status == 403, name

        paths = ("/readyz", "/startupz", "/livez", "/metrics", "/status", "/")
        assert [(await pod.admin.ask("GET", path)).status for path in paths] == [200, 200, 200, 200, 404, 404]
        assert (await pod.admin.ask("POST", "/-/refresh")).status == 404

        ended = await asyncio.to_thread(helm_test, pod.manifests, pod.url)
        assert (ended.code, ended.out) == (0, "the upstream answers 302: the gateway works\n"), ended.err

        pod.process.signal(signal.SIGTERM)
        began = time.monotonic()
        await pod.admin.until_answered("/readyz", 503, within_s=1.8)
        assert (await pod.client.ask()).status == 302
        assert await pod.process.ended(within_s=10) == 0
        assert time.monotonic() - began >= 2


async def test_a_port_and_a_token_of_its_own(helm: Helm, gateway: Path, tmp_path: Path) -> None:
    """The Service's port is part of the name in Host, where it is not http's; callers send the token.

    It says what the gateway says, where that refuses; and fails on the upstream's 401, however well the gateway works.
    """
    (tmp_path / "token").write_text("let-me-in\n")
    (tmp_path / "wrong").write_text("another\n")
    values = {"gate": {"requireToken": {"secretName": "gateway-token"}}, "service": {"port": 9000}}
    async with running(helm, gateway, tmp_path, response(status="401 Unauthorized"), values) as pod:
        for name in NAMES:
            assert (await pod.asked_as(f"{name}:9000", "Sidecar-Token: let-me-in")).status == 401, name
        assert (await pod.asked_as(f"{NAMES[0]}:9000")).status == 403
        assert of_kind(pod.manifests, "Pod")["spec"]["containers"][0]["args"][2] == "http://demo-sidecar.apps:9000/"

        wrong = await asyncio.to_thread(helm_test, pod.manifests, pod.url, tmp_path / "wrong")
        assert wrong.code == 1
        assert wrong.out.startswith("the gateway refuses: 403 ")
        assert "let-me-in" not in wrong.out
        right = await asyncio.to_thread(helm_test, pod.manifests, pod.url, tmp_path / "token")
        assert right.code == 1
        assert right.out.startswith("the upstream answers 401")


async def test_helm_test_fails_where_nobody_answers(helm: Helm, gateway: Path) -> None:
    """And says where to look."""
    ended = helm_test(helm.template(gateway, values=LEAST), f"http://127.0.0.1:{free_port()}/")
    assert ended.code == 1
    assert "Connection refused" in ended.out
    assert "NetworkPolicy" in ended.out


def test_the_command_takes_the_configuration(helm: Helm, gateway: Path, tmp_path: Path) -> None:
    """`sidecar check` finds no mistake in what the ConfigMap holds; it warns of what a NetworkPolicy is there for."""
    file = tmp_path / "config.yaml"
    (config_map,) = (one for one in helm.template(gateway, values=LEAST) if one["kind"] == "ConfigMap")
    file.write_text(config_map["data"]["config.yaml"])
    ended = sidecar("check", "-c", str(file))
    assert ended.code == 0, ended.err
    assert "beyond loopback and open" in ended.err
    assert "credential: giantcontext: API key from file /run/secrets/sidecar/api-key" in ended.out


def test_the_test_runs_the_images_python(helm: Helm, gateway: Path) -> None:
    """The image has no shell to find one."""
    (container,) = of_kind(helm.template(gateway, values=LEAST), "Pod")["spec"]["containers"]
    assert container["command"] == ["/opt/sidecar/bin/python3.13"]
