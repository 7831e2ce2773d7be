"""The script for fish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidecar.completion.words import Command, Flag, Value

_HEAD = """\
# Completes `sidecar` in fish: sidecar completion fish > ~/.config/fish/completions/sidecar.fish

function __sidecar_is -d 'Whether this command was typed'
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = "$argv[1]"
end

function __sidecar_is_first -d 'Whether no command was typed yet'
    test (count (commandline -opc)) -eq 1
end

function __sidecar_runs -d 'Whether this command, and -- after it, was typed'
    set -l words (commandline -opc)
    test (count $words) -ge 3; and test "$words[2]" = "$argv[1]"; and contains -- -- $words
end

function __sidecar_other -d 'What completes the program after --'
    set -l words (commandline -opc) (commandline -ct)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join -- ' ' $words)
end

complete -c sidecar -f
complete -c sidecar -n __sidecar_is_first -l help -s h -d 'list the commands'
complete -c sidecar -n __sidecar_is_first -l version -s V -d 'print the version'
"""


def script(commands: Sequence[Command]) -> str:
    """Return the script."""
    lines = [line for command in commands for line in _lines(command)]
    return _HEAD + "".join(f"complete -c sidecar {line}\n" for line in lines)


def _lines(command: Command) -> Iterable[str]:
    yield f"-n __sidecar_is_first -a {command.name} -d {_quoted(command.summary)}"
    here = f"-n '__sidecar_is {command.name}'"
    for flag in command.flags:
        yield f"{here} {_names(flag)}{_value(flag.value)} -d {_quoted(flag.help)}"
    for value in command.arguments:
        if value.kind == "command":
            yield f"-n '__sidecar_runs {command.name}' -a '(__sidecar_other)'"
        elif value.kind != "free":
            yield f"{here}{_value(value, after_flag=False)}"


def _names(flag: Flag) -> str:
    return " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names)


def _value(value: Value | None, *, after_flag: bool = True) -> str:
    """Return what may stand there; `-x` says that something must, and no file, `-r -F` that a file must."""
    must = " -x" if after_flag else ""
    if value is None:
        return ""
    if value.kind == "words":
        return f"{must} -a {_quoted(' '.join(value.words))}"
    if value.kind == "folder":
        return f"{must} -a '(__fish_complete_directories)'"
    return f"{' -r' if after_flag else ''} -F" if value.kind == "file" else must


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
