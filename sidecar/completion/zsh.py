"""The script for zsh, for a folder of `fpath` or to be sourced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidecar.completion.words import Command, Flag, Value

_SCRIPT = """\
#compdef sidecar
# Completes `sidecar` in zsh. In ~/.zshrc, after compinit: source <(sidecar completion zsh)

# Another program and what it takes, with or without -- before it.
_sidecar_other() {{
    if [[ $words[1] == -- ]]; then shift words; (( CURRENT-- )); fi
    _normal
}}

_sidecar() {{
    if (( CURRENT == 2 )); then
        local -a sidecar_commands=(
{summaries}        )
        _describe -t commands command sidecar_commands
        return
    fi
    local sidecar_command=$words[2]
    shift words
    (( CURRENT-- ))
    case $sidecar_command in
{specs}    esac
}}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _sidecar "$@"; else compdef _sidecar sidecar; fi
"""

_ACTIONS = {"file": "_files", "folder": "_files -/", "free": " "}


def script(commands: Sequence[Command]) -> str:
    """Return the script."""
    summaries = (_quoted(f"{command.name}:{command.summary}") for command in commands)
    return _SCRIPT.format(
        summaries="".join(f"            {summary}\n" for summary in summaries),
        specs="".join(_case(command) for command in commands),
    )


def _case(command: Command) -> str:
    specs = [*(spec for flag in command.flags for spec in _flag(flag)), *map(_argument, command.arguments)]
    lines = "".join(f" \\\n                {spec}" for spec in specs)
    return f"        {command.name})\n            _arguments -S{lines} ;;\n"


def _flag(flag: Flag) -> Iterable[str]:
    """Yield one spec for each name; one name rules the others out, unless the flag may be given again."""
    others = "*" if flag.repeats else f"({' '.join(flag.names)})"
    for name in flag.names:
        form = name
        if flag.value is not None:
            form += "=" if name.startswith("--") else "+"
        yield _quoted(f"{others}{form}[{_plain(flag.help, '[]')}]{_value(flag.value) if flag.value else ''}")


def _argument(value: Value) -> str:
    if value.kind == "command":
        return _quoted(f"*::{_plain(value.name)}:_sidecar_other")
    return _quoted(f":{_value(value)}")


def _value(value: Value) -> str:
    action = f"({' '.join(value.words)})" if value.kind == "words" else _ACTIONS.get(value.kind, "_command_names -e")
    return f":{_plain(value.name)}:{action}"


def _plain(text: str, more: str = "") -> str:
    """Return a text in which none of what divides a spec divides anything."""
    for char in "\\:" + more:
        text = text.replace(char, "\\" + char)
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
