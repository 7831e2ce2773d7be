"""The status page in a real Chromium: it is live, it keeps to itself, and everybody can use it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from time import time
from typing import Any

import pytest

from sidecar.admin.events import MOST_SUBSCRIBERS
from sidecar.admin.view import Reload, RouteView, Setting
from sidecar.credentials.status import CredentialStatus
from tests.fakes import Tokens, always, response, upstream
from tests.page.browser import Page, attached
from tests.page.scenes import SCENES, Scene
from tests.page.shots import served
from tests.wire.running import with_tokens

SHOWN = "document.querySelector('#live[data-live=on]')"
# Real names are short; what a page does with long ones shows in what it does with these.
HOSTILE = "<img src=x onerror=hacked=1><script>hacked=1</script>" + "x" * 90


@asynccontextmanager
async def opened(devtools: str, scene: Scene, *, provoked: bool = False) -> AsyncIterator[Page]:
    """Open the page of a scene, and wait until it is live; whatever a test does with it, nothing may complain.

    Args:
        provoked: the test does what its policy forbids.
    """
    async with served(scene) as port, attached(devtools) as page:
        await page.open(f"http://127.0.0.1:{port}/")
        await page.until(SHOWN)
        yield page
        assert provoked or _complaints(page) == []


def _complaints(page: Page) -> list[Any]:
    """Return what Chromium has to say against the page: errors, warnings, policies that stopped something."""
    said = [entry["entry"] for entry in page.told("Log.entryAdded")]
    thrown = [each["exceptionDetails"] for each in page.told("Runtime.exceptionThrown")]
    printed = page.told("Runtime.consoleAPICalled")
    issues = [each["issue"] for each in page.told("Audits.issueAdded")]
    return [*said, *thrown, *printed, *issues]


async def test_values_update_live(devtools: str) -> None:
    """Requests, refusals and a new token are on the page within seconds, without a reload and without a complaint."""
    async with with_tokens(always(response()), Tokens()) as (sidecar, _), attached(devtools) as page:
        host, port = sidecar.app.admin_address
        await page.open(f"http://{host}:{port}/")
        await page.until(SHOWN)
        assert await page.value("document.querySelector('h1').textContent") == "All is well. crm holds a valid token."
        assert await page.value("document.querySelector('#requests .sum').textContent") == "0"
        for _ in range(3):
            assert (await sidecar.ask()).status == 200
        refused = sidecar.ask_bytes().replace(sidecar.host, b"evil.example")
        wire = await sidecar.connect()
        await wire.send(refused)
        assert (await wire.response()).status == 403
        await sidecar.app.refresh(None)
        await page.until("document.querySelector('#requests .sum').textContent === '3'")
        await page.until("document.querySelector('#refusals .sum').textContent === '1'")
        await page.until("document.querySelector('#troubles').textContent.includes('gate.hosts')")
        await page.until("document.querySelector('.credential summary').textContent.startsWith('2 exchanges')")
        assert _complaints(page) == []


async def test_what_turns_bad_is_said_at_the_top_and_what_stops_too(devtools: str) -> None:
    """A screen reader hears the sentence; the page that has lost its sidecar says so, and finds the next one."""
    scene = SCENES["fresh"]()
    async with attached(devtools) as page:
        async with served(scene) as port:
            await page.open(f"http://127.0.0.1:{port}/")
            await page.until(SHOWN)
            scene.process.statuses = SCENES["rejected"]().process.statuses
            await page.until("document.querySelector('h1').textContent === 'Requests that need giantcontext fail.'")
            assert await page.value("document.querySelector('h1').getAttribute('aria-live')") == "polite"
            assert "fail" in await page.value("document.title")
        await page.until("document.querySelector('h1').textContent === 'The sidecar has stopped.'")
        assert "as it was at" in await page.value("document.querySelector('#lead').textContent")
        assert "trying again" in await page.value("document.querySelector('#live').textContent")
        async with served(SCENES["fresh"](), port):
            await page.until("document.querySelector('h1').textContent.startsWith('All is well')")
            await page.until(SHOWN)


@pytest.mark.skipif("SIDECAR_LONG" not in os.environ, reason="takes 40 s: SIDECAR_LONG=1")
@pytest.mark.timeout(90)
async def test_a_sidecar_that_says_nothing_any_more_is_noticed(devtools: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that was stopped with a signal: its connections stay, and no word comes."""
    monkeypatch.setattr("sidecar.admin.events.SILENCE_S", 1000)
    scene, now = SCENES["fresh"](), time()
    monkeypatch.setattr(scene.clock, "wall", lambda: now)  # nothing moves, so that there is nothing to say
    async with opened(devtools, scene) as page:
        await page.until("document.querySelector('h1').textContent === 'The sidecar does not answer.'", within_s=60)
        await page.until(SHOWN)


async def test_nothing_is_loaded_from_elsewhere(devtools: str) -> None:
    """The document and its events are all that goes over the wire, and the policy has no exception to make."""
    async with opened(devtools, SCENES["rejected"](), provoked=True) as page:
        asked = [each["request"]["url"] for each in page.told("Network.requestWillBeSent")]
        kinds = {url.partition(":")[0] if url.startswith("data:") else url.rpartition("/")[2] for url in asked}
        assert kinds <= {"", "events", "data"}
        assert _complaints(page) == []
        # What would need an exception does not work.
        for attempt in (
            "document.body.append(Object.assign(document.createElement('script'), {text: 'hacked=1'}))",
            "document.body.innerHTML = '<p>'",
            "eval('hacked=1')",
            "setTimeout('hacked=1')",
        ):
            await page.value(f"(() => {{ try {{ {attempt} }} catch {{}} }})()")
        elsewhere = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')"
        assert await page.value(elsewhere) == "stopped"
        assert await page.value("typeof hacked") == "undefined"
        assert "connect-src" in json.dumps(_complaints(page))


async def test_a_foreign_page_cannot_read_it(devtools: str) -> None:
    """Not by fetch, not as events, not in a frame, not as a script; each is refused before it is answered."""
    foreign = response(b"<!doctype html><title>foreign</title>", "Content-Type: text/html")
    async with served(SCENES["fresh"]()) as port, upstream(always(foreign)) as other, attached(devtools) as page:
        own = f"http://127.0.0.1:{port}"
        for address in (f"http://127.0.0.1:{other.port}/", f"http://localhost:{other.port}/"):
            await page.open(address)
            for path in ("/", "/events", "/status"):
                for mode in ("cors", "no-cors"):
                    asked = f"fetch('{own}{path}', {{mode: '{mode}'}}).then(() => 'read', () => 'refused')"
                    assert await page.value(asked) == "refused"
            events = f"(done) => {{ const e = new EventSource('{own}/events'); e.onopen = () => done('read'); "
            assert await page.value(f"new Promise({events} e.onerror = () => done('refused'); }})") == "refused"
            await page.value(
                f"""new Promise((done) => {{
                    const frame = document.createElement('iframe');
                    frame.src = '{own}/'; frame.onload = done; document.body.append(frame);
                }})"""
            )
            assert await page.value("document.querySelector('iframe').contentDocument") is None
            answers = [each["response"] for each in page.told("Network.responseReceived")]
            assert {each["status"] for each in answers if each["url"].startswith(own)} == {403}


async def test_everybody_can_use_it(devtools: str) -> None:
    """Whoever sees little, hears it, has no mouse, or a narrow screen; all on one page, as to open one takes long."""
    scene = SCENES["rejected"]()
    async with opened(devtools, scene) as page:
        await _all_can_be_read_in_light_and_dark(page)
        await _a_screen_reader_finds_its_way(page)
        await _the_keyboard_reaches_everything(page, scene)
        await _nothing_has_to_be_scrolled_sideways(page, scene)


async def _nothing_has_to_be_scrolled_sideways(page: Page, scene: Scene) -> None:
    """Also with long names, and with everything unfolded."""
    made = scene.process
    made.statuses = [_renamed(status) for status in made.statuses]
    made.routes = [RouteView(HOSTILE, f"/{HOSTILE}", HOSTILE, f"https://{HOSTILE}", HOSTILE)]
    made.configured = [Setting(f"credentials.{HOSTILE}.api_key", HOSTILE, HOSTILE)]
    made.config_source, made.listeners = f"/{HOSTILE}", [HOSTILE]
    made.last_reload = Reload(time())  # then the configuration is another one
    await page.until("document.querySelector('#settings').textContent.includes('<img')")
    await page.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for width in (320, 400, 700, 1200, 1600):
        await page.size(width, 900)
        assert await page.value("document.documentElement.scrollWidth") <= width
    assert await page.value("document.querySelectorAll('main img, main script').length") == 0
    assert await page.value("typeof hacked") == "undefined"
    assert HOSTILE in await page.value("document.querySelector('#routes').textContent")
    # Nor does it mind that nothing of it is seen.
    await page.value("document.querySelector('main').hidden = true; dispatchEvent(new Event('resize'))")


def _renamed(status: CredentialStatus) -> CredentialStatus:
    return replace(status, name=HOSTILE + status.name, source=HOSTILE, error=HOSTILE, remedy=HOSTILE)


async def _all_can_be_read_in_light_and_dark(page: Page) -> None:
    """Text stands out from what is behind it by 4.5 to 1 in both schemes (WCAG 2.2, 1.4.3)."""
    papers = []
    for dark in (False, True):
        await page.size(1000, 900, dark=dark)
        papers.append(await page.value("getComputedStyle(document.documentElement).backgroundColor"))
        assert await page.value(_CONTRASTS) == []
    assert papers[0] != papers[1]


# Every text with the nearest background behind it; those whose contrast is too low.
_CONTRASTS = """(() => {
    const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
    const light = (colour) => {
        const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        const [red, green, blue] = numbers(colour).map(part);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = getComputedStyle(each).backgroundColor;
            if (numbers(colour)[3] !== 0) return colour;
        }
    };
    const found = new Set();
    const texts = document.createTreeWalker(document.querySelector('body'), NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || element.closest('script, noscript') || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const [high, low] = [light(element.closest('svg') ? style.fill : style.color), light(behind(element))].sort((a, b) => b - a);
        if ((high + 0.05) / (low + 0.05) < 4.5) found.add(element.outerHTML.slice(0, 80));
    }
    return [...found];
})()"""  # noqa: E501


async def _the_keyboard_reaches_everything(page: Page, scene: Scene) -> None:
    """In the order of the page, with a ring around what has the focus; what is folded opens by Enter."""
    wanted = await page.value(
        "[...document.querySelectorAll('a, summary')].filter((each) => each.getClientRects().length).length"
    )
    reached = []
    for _ in range(wanted):
        await page.press("Tab")
        reached.append(
            await page.value(
                "(({tagName, textContent}, {outlineStyle}) => [tagName, textContent, outlineStyle])"
                "(document.activeElement, getComputedStyle(document.activeElement))"
            )
        )
    assert reached[0][:2] == ["A", "Skip to the credentials"]
    assert {tag for tag, _, _ in reached} == {"A", "SUMMARY"}
    assert {outline for _, _, outline in reached} == {"solid"}
    assert await page.value("document.activeElement.textContent") == "/metrics"
    await page.value("document.querySelector('.credential summary').focus()")
    await page.press("Enter")
    await page.until("document.querySelector('.credential details').open")
    # What somebody has unfolded stays so, and what somebody reads stays where it is, when other values come.
    seen = "['.credential details', '#troubles td', '#settings td']"
    await page.value(f"window.before = {seen}.map((each) => document.querySelector(each))")
    scene.process.stats.route("giantcontext").requests[b"GET"][0] += 100_000
    await page.until("document.querySelector('#requests .sum').textContent.startsWith('101,')")
    assert await page.value("before.every((each) => each.isConnected) && before[0].open")


async def _a_screen_reader_finds_its_way(page: Page) -> None:
    """Landmarks, headings in order, tables and drawings with names; and nothing moves for who wants no motion."""
    nodes = (await page.do("Accessibility.getFullAXTree"))["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""), node.get("properties", []))
        for node in nodes
        if not node["ignored"]
    ]
    roles = [role for role, _, _ in found]
    assert {"banner", "main", "contentinfo", "navigation", "status"} <= set(roles)
    levels = [
        prop["value"]["value"]
        for role, _, properties in found
        if role == "heading"
        for prop in properties
        if prop["name"] == "level"
    ]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    for kind, least in (("table", 3), ("image", 4), ("region", 5)):
        names = [name for role, name, _ in found if role in (kind, "img" if kind == "image" else kind)]
        assert len(names) >= least and all(names), (kind, names)
    assert any("Time line of giantcontext: obtained" in name for name in (each[1] for each in found))
    for wanted, moves in (("no-preference", "breathe"), ("reduce", "none")):
        await page.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": wanted}])
        assert await page.value("getComputedStyle(document.querySelector('.live i')).animationName") == moves


async def test_none_many_and_odd_ones(devtools: str) -> None:
    """It draws credentials that nobody has planned for, more of them than anybody has, and none."""
    scene = SCENES["fresh"]()
    (one,) = scene.process.statuses
    now, year_s = time(), 365 * 86400.0
    asleep = replace(one, state="expired", usable=False, expires_at=now - 5)  # the machine slept; nothing has failed
    scene.process.statuses = [
        asleep,
        replace(one, name="static", expires_at=None, next_refresh_at=None),
        replace(one, name="long", expires_at=now + 900 * year_s, next_refresh_at=now + 899 * year_s),
        replace(one, name="ahead", obtained_at=now + 50),  # its clock was set back
        replace(one, name="ended", state="expired", usable=False),  # though the clock says that it is valid
    ]
    async with opened(devtools, scene) as page:
        said = await page.value("document.querySelector('h1').textContent")
        assert said == "Requests that need giantcontext and ended fail."
        assert "has expired" in await page.value("document.querySelector('#lead').textContent")
        left = await page.value("[...document.querySelectorAll('.left')].map((each) => each.textContent)")
        assert [left[1], left[2][-9:], left[4]] == ["does not expire", "899 years", "not used any more"]
        assert await page.value(f"{_TICKS}.every((count) => 0 < count && count < 20)")
        scene.process.statuses = []
        scene.process.last_reload = Reload(now, "config.yaml:3:5: a mistake\nconfig.yaml:9:1: another")
        await page.until("document.querySelector('#no-credentials').getClientRects().length")
        # A mistake a line, each with the file's name as it is.
        said = await page.value("document.querySelector('#advice').innerText")
        assert "config.yaml:3:5: a mistake\nconfig.yaml:9:1: another" in said
        scene.process.last_reload = None
        scene.process.statuses = [replace(one, name=f"credential-{number}") for number in range(15)]
        await page.until("document.querySelectorAll('.credential .t-token').length >= 15")
        assert await page.value("document.querySelector('h1').textContent.startsWith('All is well. 15 ')")
        scene.process.statuses = []
        await page.until("!document.querySelector('.credential')")
        scene.process.statuses = [replace(one, name="credential-3")]  # as it was
        await page.until("document.querySelector('.credential .left')?.textContent.startsWith('expires')")


_TICKS = "[...document.querySelectorAll('.timeline')].map((each) => each.querySelectorAll('.t-tick').length)"


async def test_one_page_too_many_says_so(devtools: str) -> None:
    """It does not call a sidecar silent that answers, and says what to do; and it tries again."""
    async with served(SCENES["fresh"]()) as port, attached(devtools) as page:
        others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_SUBSCRIBERS)]
        for reader, writer in others:
            writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
            await reader.readline()
        await page.open(f"http://127.0.0.1:{port}/")
        await page.until("document.querySelector('h1').textContent === 'The sidecar has enough pages to keep live.'")
        assert "Close another one" in await page.value("document.querySelector('#lead').textContent")
        assert "trying again" in await page.value("document.querySelector('#live').textContent")
        for _, writer in others:
            writer.close()
