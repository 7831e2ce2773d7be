"""`${NAME}` in a string is the environment's value, and never more than a string."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.expand import expand
from sidecar.config.units import Unfit
from sidecar.credentials.rules import sealed
from tests.config.loading import LONG, SHORT, load_text, mistake_in


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${A}", "one"),
        ("x-${A}-${B}", "x-one-two"),
        ("${C:-three}", "three"),
        ("${EMPTY:-three}", "three"),
        ("${A:-three}", "one"),
        ("${C:-}", ""),
        ("${EMPTY}", ""),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("a$b $", "a$b $"),
    ],
)
def test_references_are_replaced(text: str, expanded: str) -> None:
    """A name, a default for what is unset or empty, and a dollar."""
    assert expand(text, {"A": "one", "B": "two", "EMPTY": ""}) == expanded


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1A}", "${A B}", "${A-b}"])
def test_a_broken_reference_is_a_mistake(text: str) -> None:
    """What is no name between braces is never taken as text."""
    with pytest.raises(Unfit, match=r"\$\{NAME\}"):
        expand(text, {"A": "one"})


def test_an_unset_name_is_named() -> None:
    """The mistake says which variable is missing, and where it is asked for."""
    mistake = mistake_in(LONG.replace("https://api.example.com", "https://${API_HOST}"))
    assert "API_HOST is not set" in mistake.text
    assert (mistake.line, mistake.column, mistake.key) == (6, 15, "routes[0].upstream.url")


def test_every_type_can_come_from_the_environment() -> None:
    """Numbers, durations, sizes, booleans, words and addresses are read after expansion."""
    text = f"""{SHORT}
listen: ${{HOST:-127.0.0.1}}:${{PORT}}
limits: {{fields: "${{FIELDS}}", head: "${{HEAD}}", head_timeout: "${{TIME}}"}}
admin: {{quit: "${{QUIT}}"}}
log: {{level: "${{LEVEL}}"}}
"""
    environ = {"PORT": "9000", "FIELDS": "7", "HEAD": "1KiB", "TIME": "250ms", "QUIT": "true", "LEVEL": "debug"}
    config = load_text(text, environ)
    assert str(config.listen[0]) == "127.0.0.1:9000"
    assert (config.limits.fields, config.limits.head_bytes, config.limits.head_timeout_s) == (7, 1024, 0.25)
    assert (config.admin.quit, config.log.level) == (True, "debug")


def test_a_value_cannot_inject_yaml() -> None:
    """Expansion comes after parsing: a value with YAML in it is a string, or a mistake."""
    mistake = mistake_in(SHORT + "log: {level: '${LEVEL}'}", {"LEVEL": "info, access: true"})
    assert mistake.key == "log.level"
    text = LONG.replace("preset: giantcontext", 'preset: giantcontext\n    exchange: {json: ["{api_key}", "${EXTRA}"]}')
    exchange = load_text(text, {"EXTRA": "{a: 1}"}).credentials[0].exchange
    assert exchange is not None and exchange.json == sealed(["{api_key}", "{a: 1}"])


def test_flags_and_variables_are_not_expanded() -> None:
    """What a flag or a variable says is taken as it is."""
    assert mistake_in(SHORT, {"A": "127.0.0.1:80"}, {"listen": "${A}"}).where == "--listen"


@given(st.text())
def test_what_has_no_dollar_stays(text: str) -> None:
    """Expansion changes nothing else."""
    assert expand(text.replace("$", ""), {}) == text.replace("$", "")


@given(st.text())
def test_doubled_dollars_come_back(text: str) -> None:
    """Doubling every dollar is how any text is written."""
    assert expand(text.replace("$", "$$"), {}) == text
