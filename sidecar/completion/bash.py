"""The script for bash, also for the 3.2 that Macs come with, and without the package bash-completion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidecar.completion.words import Command, Value

_SCRIPT = """\
# Completes `sidecar` in bash. In ~/.bashrc: source <(sidecar completion bash)

# Shows the words, one a line, or the names of files and folders, that go on from what was typed.
_sidecar_words() {{ COMPREPLY=($(compgen -W "$1" -- "$cur")); }}
_sidecar_names() {{ compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen "$1" -- "$cur")); }}

_sidecar() {{
    local IFS=$'\\n' cur=${{COMP_WORDS[COMP_CWORD]}} flag=${{COMP_WORDS[COMP_CWORD-1]}} at
    COMPREPLY=()
    # The = of --flag=value is a word of its own here.
    if [[ $cur == "=" ]]; then cur=; elif [[ $flag == "=" ]]; then flag=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    if ((COMP_CWORD == 1)); then
        _sidecar_words {names}
        return
    fi
    case ${{COMP_WORDS[1]}} in
{behind}    esac
    case "${{COMP_WORDS[1]}} $flag" in
{values}    esac
    case ${{COMP_WORDS[1]}} in
{rest}    esac
}}

complete -F _sidecar sidecar
"""

_BEHIND = """\
        {name})
            # After --, another program and what it takes.
            for ((at = 2; at < COMP_CWORD; at++)); do
                [[ ${{COMP_WORDS[at]}} == -- ]] || continue
                if ((COMP_CWORD == at + 1)); then _sidecar_names -c; else _sidecar_names -f; fi
                return
            done ;;
"""
_NAMES = {"file": "-f", "folder": "-d", "command": "-c"}


def script(commands: Sequence[Command]) -> str:
    """Return the script."""
    return _SCRIPT.format(
        names=_words([*(command.name for command in commands), "--help", "--version"]),
        behind="".join(_BEHIND.format(name=command.name) for command in commands if _runs_another(command)),
        values="".join(line for command in commands for line in _values(command)),
        rest="".join(_rest(command) for command in commands),
    )


def _runs_another(command: Command) -> bool:
    return any(value.kind == "command" for value in command.arguments)


def _values(command: Command) -> Iterable[str]:
    """Yield what may stand after each flag that takes something."""
    for flag in command.flags:
        if flag.value is not None:
            names = " | ".join(f'"{command.name} {name}"' for name in flag.names)
            yield f"        {names}) {_shown(flag.value)}; return ;;\n"


def _shown(value: Value) -> str:
    if value.kind == "words":
        return f"_sidecar_words {_words(value.words)}"
    return f"_sidecar_names {_NAMES[value.kind]}" if value.kind in _NAMES else ":"


def _rest(command: Command) -> str:
    """Return what may stand where no flag waits for something: flags, words, and the names of files."""
    flags = [name for flag in command.flags for name in flag.names if name.startswith("--")]
    words = [word for value in command.arguments for word in value.words]
    shown = f"_sidecar_words {_words([*words, *flags])}"
    if any(value.kind == "file" for value in command.arguments):
        shown = f"if [[ $cur == -* ]]; then {shown}; else _sidecar_names -f; fi"
    return f"        {command.name}) {shown} ;;\n"


def _words(words: Iterable[str]) -> str:
    """Return words as one, in a shell's quotes: no name of ours holds a character that would need more."""
    return "$'" + "\\n".join(word.replace("\\", "\\\\").replace("'", "\\'") for word in words) + "'"
