"""In a real pod: an app without a secret is answered 200 from its first request to its last, whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.image.container import podman
from tests.image.marks import needs_image
from tests.image.pod import GRACE_S, Document, Pod, from_chart, hand_written, make_app_image, running

pytestmark = needs_image

NEW_KEY = f"gct_rotated_{'0123456789abcdef' * 2}"
ANSWERED_WITHIN_S = 20.0
POLL_S = 0.1
MANIFESTS = [
    pytest.param(lambda folder: hand_written(), id="by-hand"),
    pytest.param(lambda folder: from_chart(folder / "chart"), id="from-chart"),
]


@pytest.fixture(scope="module", autouse=True)
def app_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The app's image is there."""
    name = make_app_image(tmp_path_factory.mktemp("app") / "context")
    yield
    podman("rmi", "--force", name)


async def answered(pod: Pod, more: int) -> None:
    """Wait until the app has been answered so many times more."""
    enough = len(pod.statuses()) + more
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        while len(await asyncio.to_thread(pod.statuses)) < enough:  # noqa: ASYNC110  # a log tells nobody
            await asyncio.sleep(POLL_S)


async def told(pod: Pod, deed: str) -> None:
    """Have the vendor do something."""
    assert (await pod.control.ask("POST", "/-/faults", body=deed.encode())).status == 200


@pytest.mark.parametrize("manifest", MANIFESTS)
async def test_no_request_is_lost(
    manifest: Callable[[Path], Document],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    figure: Callable[[str, str], None],
) -> None:
    """Tokens that are revoked, a key that is rotated and then revoked with all its tokens, and the end of the pod."""
    with running(tmp_path, manifest(tmp_path)) as pod:
        await pod.admin.until_accepts()
        await pod.admin.ready()
        await answered(pod, 20)
        await told(pod, '{"do":"revoke_tokens"}')
        await answered(pod, 20)
        # The vendor's new key, while the old one's tokens still work; then they do not.
        await told(pod, f'{{"do":"regenerate_key","api_key":"{NEW_KEY}","keep_tokens":true}}')
        pod.rewrite_key(NEW_KEY)
        await pod.admin.until(1, "sidecar_exchanges_total", outcome="ok", trigger="key_change")
        await told(pod, '{"do":"revoke_tokens"}')
        await answered(pod, 20)
        await pod.admin.until(2, "sidecar_replays_total", outcome="ok")
        stopped_s = await asyncio.to_thread(pod.stop)
        statuses = pod.statuses()
        assert pod.exit_codes() == {"app": 0, "sidecar": 0}
    assert Counter(statuses) == {200: len(statuses)}
    which = request.node.callspec.id
    figure(f"pod {which}: the app's requests, its stop", f"{len(statuses)}, all 200; {stopped_s:.1f} s")
    assert 1.0 < stopped_s < GRACE_S
