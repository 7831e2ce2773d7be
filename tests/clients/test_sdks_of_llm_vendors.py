"""The Python SDKs of OpenAI and Anthropic: only the base URL is changed, and the key is a placeholder.

Each function imports what it uses: the two take 2 s, and every worker of a parallel run reads this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.clients.llm_api import WORDS, LlmApi
from tests.clients.mirror import Mirror
from tests.clients.stand import KEY, credential, discreet, serving
from tests.main_job.process import SidecarProcess
from tests.ports import free_port

if TYPE_CHECKING:
    import anthropic
    import openai

PLACEHOLDER = "placeholder-of-the-app"
WHOLE = "".join(WORDS)
MODEL = "a-model"
# What the SDKs take from the environment must not matter here.
ENVIRONMENT = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS")


@dataclass(frozen=True, slots=True)
class Place:
    """The API, what issues tokens for it, and the sidecar's URLs."""

    api: LlmApi
    issuer: Mirror
    url: str


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """All of it, once for these tests."""
    with ExitStack() as stack:
        api = stack.enter_context(LlmApi(KEY).serving())
        issuer = stack.enter_context(serving())
        token = credential(issuer.url, inject={"drop": ["X-Api-Key"]})
        key = {
            "preset": "static",
            "api_key": {"env": "CLIENTS_KEY"},
            "inject": {"header": "X-Api-Key", "value": "{token}", "drop": ["Authorization"]},
        }
        down = credential(f"http://127.0.0.1:{free_port()}")
        routes = [
            {
                "name": name,
                "match": {"path": f"/{name}/"},
                "strip_prefix": True,
                "upstream": api.url,
                "credential": name,
            }
            for name in ("token", "key", "down")
        ]
        configuration = {"credentials": {"token": token, "key": key, "down": down}, "routes": routes}
        directory = tmp_path_factory.mktemp("sdks")
        sidecar = stack.enter_context(discreet(SidecarProcess(directory, configuration, {"CLIENTS_KEY": KEY})))
        yield Place(api, issuer, f"http://127.0.0.1:{sidecar.port}")


@pytest.fixture
def place(shared_place: Place) -> Place:
    """The same, with nothing left of the test before."""
    shared_place.api.forget()
    return shared_place


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's environment reaches the SDKs."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def openai_client(url: str, max_retries: int = 0) -> openai.OpenAI:
    """Return a client as an app makes it."""
    import openai

    return openai.OpenAI(base_url=f"{url}/v1", api_key=PLACEHOLDER, max_retries=max_retries)


def anthropic_client(url: str, max_retries: int = 0) -> anthropic.Anthropic:
    """Return a client as an app makes it."""
    import anthropic

    return anthropic.Anthropic(base_url=url, api_key=PLACEHOLDER, max_retries=max_retries)


def openai_whole(url: str, prompt: str = "count", max_retries: int = 0) -> str | None:
    """Ask for a whole completion."""
    with openai_client(url, max_retries) as client:
        answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])
        return answer.choices[0].message.content


def openai_streamed(url: str, heard: Callable[[], None]) -> str:
    """Ask for a completion word by word."""
    text = ""
    with openai_client(url) as client:
        stream = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "count"}], stream=True
        )
        for chunk in stream:
            if word := chunk.choices[0].delta.content:
                text += word
                heard()
    return text


def openai_streamed_async(url: str, heard: Callable[[], None]) -> str:
    """The same by the asynchronous client."""
    import openai

    async def run() -> str:
        text = ""
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=PLACEHOLDER, max_retries=0) as client:
            stream = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "count"}], stream=True
            )
            async for chunk in stream:
                if word := chunk.choices[0].delta.content:
                    text += word
                    heard()
        return text

    return asyncio.run(run())


def anthropic_whole(url: str, prompt: str = "count", max_retries: int = 0) -> str | None:
    """Ask for a whole message."""
    with anthropic_client(url, max_retries) as client:
        message = client.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": prompt}])
        (block,) = message.content
        return block.text if block.type == "text" else None


def anthropic_streamed(url: str, heard: Callable[[], None]) -> str:
    """Ask for a message word by word."""
    text = ""
    with (
        anthropic_client(url) as client,
        client.messages.stream(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "count"}]) as stream,
    ):
        for word in stream.text_stream:
            text += word
            heard()
    return text


def anthropic_streamed_async(url: str, heard: Callable[[], None]) -> str:
    """The same by the asynchronous client."""
    import anthropic

    async def run() -> str:
        text = ""
        async with (
            anthropic.AsyncAnthropic(base_url=url, api_key=PLACEHOLDER, max_retries=0) as client,
            client.messages.stream(
                model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "count"}]
            ) as stream,
        ):
            async for word in stream.text_stream:
                text += word
                heard()
        return text

    return asyncio.run(run())


WHOLES = [openai_whole, anthropic_whole]
STREAMED = [openai_streamed, openai_streamed_async, anthropic_streamed, anthropic_streamed_async]


@pytest.mark.parametrize("ask", WHOLES)
@pytest.mark.parametrize("route", ["token", "key"])
def test_it_is_answered(place: Place, ask: Callable[[str], str | None], route: str) -> None:
    """The API sees the token, or the key where that goes into X-Api-Key, and nothing of the placeholder."""
    assert ask(f"{place.url}/{route}") == WHOLE
    ((authorization, key),) = place.api.seen
    assert (authorization or "").startswith("Bearer token-") == (route == "token")
    assert key == (KEY if route == "key" else None)


def test_a_key_in_a_field_of_its_own_does_not_pass(place: Place) -> None:
    """Anthropic's SDK has sent X-Api-Key, and now sends Authorization; with both, the API sees the token alone."""
    import anthropic

    fields = {"X-Api-Key": PLACEHOLDER}
    url = f"{place.url}/token"
    with anthropic.Anthropic(base_url=url, api_key=PLACEHOLDER, default_headers=fields, max_retries=0) as client:
        client.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "count"}])
    ((authorization, key),) = place.api.seen
    assert (authorization or "").startswith("Bearer token-") and key is None


@pytest.mark.parametrize("ask", STREAMED)
def test_words_arrive_one_by_one(place: Place, ask: Callable[[str, Callable[[], None]], str]) -> None:
    """The API sends each word once the app has had the one before."""
    assert ask(f"{place.url}/token", place.api.go.release) == WHOLE


@pytest.mark.parametrize("ask", WHOLES)
def test_a_rejected_token_is_nothing_to_the_app(place: Place, ask: Callable[[str], str | None]) -> None:
    """Without any retry of its own, it gets its answer; the API saw the dead token and then the new one."""
    ask(f"{place.url}/token")
    dead, before = place.api.seen[0][0], place.issuer.exchanges
    assert dead is not None
    place.api.dead.add(dead)
    assert ask(f"{place.url}/token") == WHOLE
    assert place.issuer.exchanges == before + 1
    assert [seen[0] for seen in place.api.seen] == [dead, dead, f"Bearer token-{before + 1}"]


def test_a_stream_whose_token_was_rejected_begins_with_the_new_one(place: Place) -> None:
    """The app hears the words once, in order."""
    openai_whole(f"{place.url}/token")
    dead = place.api.seen[0][0]
    assert dead is not None
    place.api.dead.add(dead)
    assert openai_streamed(f"{place.url}/token", place.api.go.release) == WHOLE


def test_a_file_is_uploaded(place: Place) -> None:
    """2 MB as a multipart form."""
    with openai_client(f"{place.url}/token") as client:
        file = client.files.create(file=("batch.jsonl", b"x" * 2_000_000), purpose="batch")
    assert file.bytes > 2_000_000


def test_the_apis_own_errors_are_the_apis(place: Place) -> None:
    """A 429 is each SDK's own exception, with what the API says."""
    import anthropic
    import openai

    with pytest.raises(openai.RateLimitError, match="not so fast"):
        openai_whole(f"{place.url}/token", "429")
    with pytest.raises(anthropic.RateLimitError, match="not so fast"):
        anthropic_whole(f"{place.url}/token", "429")


def test_our_own_errors_say_what_is_wrong(place: Place) -> None:
    """Where no token can be had, each SDK's exception carries our sentence; it is no 401, which would blame the key."""
    import anthropic
    import openai

    told = r"no token for credential down: .* refused"
    with pytest.raises(openai.InternalServerError, match=told) as from_openai:
        openai_whole(f"{place.url}/down")
    with pytest.raises(anthropic.InternalServerError, match=told) as from_anthropic:
        anthropic_whole(f"{place.url}/down")
    assert from_openai.value.status_code == from_anthropic.value.status_code == 503
    assert place.api.seen == []
