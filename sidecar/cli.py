"""The commands, their flags and their exit codes: 0 fine, 1 failed at run time, 2 command line or configuration wrong.

Not what they do: that is imported when a command runs, so that a probe pays for
nothing else. The rule: whatever goes wrong is said on standard error in a sentence
that tells what to do next, never as a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from typing import NoReturn, TextIO, TypeVar

    from sidecar.ask import Admin
    from sidecar.config import Config
    from sidecar.errors import ConfigError

    Result = TypeVar("Result")

_FINE, _FAILED, _WRONG, _INTERRUPTED = 0, 1, 2, 130
_WIDTH = 80
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CONFIG_FLAGS = (
    ("--listen", "ADDRESS", "where apps connect (SIDECAR_LISTEN, 127.0.0.1:8080)"),
    ("--upstream", "URL", "the origin to forward to (SIDECAR_UPSTREAM, the preset's)"),
    ("--preset", "NAME", "a vendor's rules, such as giantcontext (SIDECAR_PRESET)"),
    ("--api-key-file", "FILE", "the file that holds the API key (SIDECAR_API_KEY_FILE)"),
    ("--api-key-env", "NAME", "the variable that holds the API key (SIDECAR_API_KEY)"),
    ("--admin-listen", "ADDRESS", "health, metrics, status (SIDECAR_ADMIN_LISTEN, 127.0.0.1:8081)"),
)


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; None: the process's own.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if argv is None else argv
    try:
        code = _dispatch(given)
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
        return code
    except SystemExit as end:  # argparse, after its help or its complaint
        return end.code if isinstance(end.code, int) else _WRONG
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read standard output has left; the interpreter must not try to flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _complain(f"standard output cannot be written: {_reason(error)}")
        return _FAILED


class Command:
    """One command: what it is for, an example, what it takes, and what runs it."""

    __slots__ = ("arguments", "example", "run", "summary")

    def __init__(
        self,
        summary: str,
        example: str,
        run: Callable[[argparse.Namespace], int],
        arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
    ) -> None:
        self.summary = summary
        self.example = example
        self.run = run
        self.arguments = arguments


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Complain and exit with 2."""
        _complain(f"{message}. Try `{self.prog} --help`.")
        raise SystemExit(_WRONG)


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    command = COMMANDS[name]
    parser = _Parser(
        prog=f"sidecar {name}",
        usage=f"sidecar {name} [options]",
        description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        epilog=f"example:\n  {command.example}",
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=_WIDTH),
        allow_abbrev=False,
    )
    command.arguments(parser)
    return parser


def overview() -> str:
    """Return the help of the program itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: sidecar COMMAND [options]",
            "",
            "A local reverse proxy that makes authentication somebody else's problem.",
            "",
            *lines,
            "",
            "`sidecar COMMAND --help` tells what each takes. To see it work, without a key:",
            "  sidecar demo",
        ]
    )


def _dispatch(given: list[str]) -> int:
    if not given:
        print(overview(), file=sys.stderr)
        return _WRONG
    name, rest = given[0], given[1:]
    if name in ("-h", "--help", "help"):
        print(overview())
        return _FINE
    if name in ("-V", "--version"):
        name = "version"
    if name not in COMMANDS:
        near = _nearest(name, COMMANDS)
        hint = f"Did you mean `sidecar {near}`?" if near else "`sidecar --help` lists what there is."
        _complain(f"there is no command {name!r}. {hint}")
        return _WRONG
    parser = parser_of(name)
    args, unknown = parser.parse_known_args(rest)
    if unknown:
        # What stands after a flag is not repeated: it could be a key.
        flag = next((word.partition("=")[0] for word in unknown if word.startswith("--")), None)
        near = _nearest(flag, parser.format_help().split()) if flag else None
        hint = f"Did you mean {near}?" if near else f"Try `sidecar {name} --help`."
        _complain(f"`sidecar {name}` has no flag {flag}. {hint}" if flag else f"too many arguments. {hint}")
        return _WRONG
    return COMMANDS[name].run(args)


def _nearest(word: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, known, 1)), None)


# What each command takes


def _takes_config(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        f"{parser.description}\nNot given: the variable in parentheses, else the file, else the default there."
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="the configuration file (SIDECAR_CONFIG, ~/.config/sidecar/config.yaml, /etc/sidecar/config.yaml)",
    )
    for flag, value, purpose in _CONFIG_FLAGS:
        parser.add_argument(flag, metavar=value, help=purpose)


def _takes_check(parser: argparse.ArgumentParser) -> None:
    _takes_config(parser)
    parser.add_argument("--exchange", action="store_true", help="make one real exchange for each credential")


def _takes_admin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--admin",
        "--url",
        metavar="ADDRESS",
        help="its admin listener: host:port, unix:/path or http://host:port (default: SIDECAR_ADMIN_LISTEN,"
        " else 127.0.0.1:8081)",
    )


def _takes_healthcheck(parser: argparse.ArgumentParser) -> None:
    _takes_admin(parser)
    parser.add_argument("--ready", action="store_true", help="ask whether it is ready, not only alive")


def _takes_wait(parser: argparse.ArgumentParser) -> None:
    _takes_admin(parser)
    parser.add_argument("--max", metavar="TIME", type=_seconds, default=30.0, help="how long at most (default: 30s)")


def _takes_status(parser: argparse.ArgumentParser) -> None:
    _takes_admin(parser)
    parser.add_argument("--json", action="store_true", help="print the JSON as it comes")


def _takes_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="end after the tour instead of staying up")


def _takes_vendor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen", metavar="ADDRESS", default="127.0.0.1:9400", help="where it listens (default: 127.0.0.1:9400)"
    )
    parser.add_argument(
        "--token-life", metavar="TIME", type=_seconds, default=60.0, help="how long its tokens live (default: 60s)"
    )
    parser.add_argument("--api-key-env", metavar="NAME", help="the environment variable that holds its one API key")


# What each command does


def _run(args: argparse.Namespace) -> int:
    from sidecar import serve
    from sidecar.environment import Environment
    from sidecar.errors import ConfigError, StartError

    environ = Environment(os.environ)
    try:
        return serve.run(_loader(args, environ), environ)
    except ConfigError as error:
        return _refuse(error)
    except StartError as error:
        _complain(str(error))
        return _FAILED


def _check(args: argparse.Namespace) -> int:
    from sidecar.errors import ConfigError

    try:
        config = _loader(args, os.environ)()
    except ConfigError as error:
        return _refuse(error)
    for warning in config.warnings:
        _complain(f"warning: {warning}")
    print("\n".join(_summary(config)))
    return _exchange(config) if args.exchange else _FINE


def _demo(args: argparse.Namespace) -> int:
    from sidecar.app import App
    from sidecar.errors import StartError
    from sidecar.log import configure
    from sidecar.vendor.tour import TourOptions, tour

    configure("warning", "console")
    try:
        return _complete(tour(App, TourOptions(once=args.once)))
    except (StartError, OSError) as error:
        _complain(f"the demo cannot start: {error}")
        return _FAILED


def _vendor(args: argparse.Namespace) -> int:
    from sidecar.secret import Secret
    from sidecar.vendor.server import VendorOptions
    from sidecar.vendor.standalone import serve

    host, _, port = args.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        _complain("--listen takes host:port, such as 127.0.0.1:9400.")
        return _WRONG
    options = VendorOptions(token_life_s=args.token_life)
    if args.api_key_env:
        key = os.environ.get(args.api_key_env)
        if not key:
            _complain(f"the environment variable {args.api_key_env} is not set; put the pretend vendor's key into it.")
            return _WRONG
        options = VendorOptions(api_key=Secret(key), token_life_s=args.token_life)
    try:
        _complete(serve(options, host.strip("[]"), int(port)))
    except OSError as error:
        _complain(f"the pretend vendor cannot listen on {args.listen}: {_reason(error)}. Choose another with --listen.")
        return _FAILED
    return _FINE


def _healthcheck(args: argparse.Namespace) -> int:
    from sidecar import ask

    return ask.healthcheck(_admin(args), ready=args.ready)


def _wait(args: argparse.Namespace) -> int:
    from sidecar import ask

    progress = _rewrite_line if _is_terminal(sys.stderr) else None
    return ask.wait(_admin(args), args.max, progress=progress)


def _status(args: argparse.Namespace) -> int:
    from sidecar import ask

    colour = _is_terminal(sys.stdout) and not os.environ.get("NO_COLOR")
    return ask.status(_admin(args), raw=args.json, colour=colour)


def _admin(args: argparse.Namespace) -> Admin:
    from sidecar import ask

    try:
        return ask.locate(args.admin)
    except ValueError as error:
        _complain(f"{error}.")
        raise SystemExit(_WRONG) from None


def _schema(args: argparse.Namespace) -> int:
    import json

    from sidecar.config.schema import schema

    print(json.dumps(schema(), indent=2))
    return _FINE


def _version(args: argparse.Namespace) -> int:
    from sidecar import __version__

    print(f"sidecar {__version__} (Python {sys.version.split()[0]})")
    return _FINE


def _loader(args: argparse.Namespace, environ: Mapping[str, str]) -> Callable[[], Config]:
    """Return what reads the configuration, at the start and at every reload."""
    from sidecar.config import load

    names = [flag.removeprefix("--").replace("-", "_") for flag, _, _ in _CONFIG_FLAGS]
    flags = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return lambda: load(path=args.config, flags=flags, environ=environ)


def _refuse(error: ConfigError) -> int:
    for mistake in error.mistakes:
        print(mistake, file=sys.stderr)
    return _WRONG


def _summary(config: Config) -> list[str]:
    """Return what the configuration says, in lines for a person; never a secret."""
    lines = [
        f"The configuration is right ({config.source or 'from flags and environment'}).",
        f"listens on: {', '.join(map(str, config.listen))}",
        f"admin:      {config.admin.listen}",
    ]
    for route in config.routes:
        credential = f"credential {route.credential}" if route.credential else "no credential"
        lines.append(f"route:      {route.name}: {route.host or ''}{route.path} -> {route.upstream.url}, {credential}")
    for credential_config in config.credentials:
        key = credential_config.api_key
        exchange = credential_config.exchange
        use = f"exchanged at {exchange.url}" if exchange else "used as the token itself"
        if exchange and exchange.sign:
            use = f"signs for {exchange.url} ({exchange.sign.alg}) and is never sent"
        lines.append(f"credential: {credential_config.name}: API key from {key.described}, {use}")
    return lines


def _exchange(config: Config) -> int:
    from sidecar import serve

    results = serve.exchange_once(config)
    for name, ok, sentence in results:
        print(f"exchange:   {name}: {'ok' if ok else 'FAILED'}: {sentence}")
    return _FINE if all(ok for _, ok, _ in results) else _FAILED


def _complete(work: Coroutine[object, object, Result]) -> Result:
    """Run a coroutine to its end."""
    import asyncio

    from sidecar.serve import event_loop_factory

    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        return runner.run(work)


def _seconds(text: str) -> float:
    """Return a duration such as `500ms`, `30s` or `5m` in seconds."""
    number = text.rstrip("mhs")
    unit = text[len(number) :]
    if not number.replace(".", "", 1).isdecimal() or not number.isascii() or unit not in _UNITS_S:
        raise argparse.ArgumentTypeError("write a duration such as 500ms, 30s or 5m")
    return float(number) * _UNITS_S[unit]


def _reason(error: OSError) -> str:
    """Return what the system says of it; an event loop's own text repeats the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _rewrite_line(text: str) -> None:
    print(f"\r\x1b[K{text[: _WIDTH - 1]}", end="", file=sys.stderr, flush=True)


def _complain(sentence: str) -> None:
    print(f"sidecar: {sentence}", file=sys.stderr)


COMMANDS = {
    "run": Command(
        "serve until SIGTERM or SIGINT, then drain; SIGHUP reloads",
        "sidecar run --preset giantcontext --api-key-file /run/secrets/key",
        _run,
        _takes_config,
    ),
    "check": Command(
        "say whether the configuration is right", "sidecar check -c sidecar.yaml --exchange", _check, _takes_check
    ),
    "demo": Command("show everything on this machine: no key, no network", "sidecar demo --once", _demo, _takes_demo),
    "vendor": Command(
        "serve the pretend vendor alone, with faults on demand",
        "sidecar vendor --listen 127.0.0.1:9400 --token-life 5s",
        _vendor,
        _takes_vendor,
    ),
    "healthcheck": Command(
        "exit with 0 if a running sidecar is alive", "sidecar healthcheck --ready", _healthcheck, _takes_healthcheck
    ),
    "wait": Command("wait until a running sidecar is ready", "sidecar wait --max 30s && ./my-app", _wait, _takes_wait),
    "status": Command(
        "show how a running sidecar is doing", "sidecar status --admin 127.0.0.1:8081", _status, _takes_status
    ),
    "schema": Command("print a JSON Schema of the configuration", "sidecar schema > config.schema.json", _schema),
    "version": Command("print the version", "sidecar version", _version),
}
