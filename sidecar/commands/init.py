"""`sidecar init`: write a configuration with comments, and what starts a sidecar with it."""

from __future__ import annotations

import argparse
import os
import sys

from sidecar.commands.words import FAILED, FINE, WRONG, complain, is_terminal, reason, refuse

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sidecar.scaffold.choices import Choices, KeyPlace
    from sidecar.scaffold.plan import Home, Kind
    from sidecar.scaffold.service import Service

EXAMPLE = "sidecar init --preset giantcontext --api-key-file ~/.config/sidecar/api-key"

_SERVICES = (
    ("systemd", "a unit of yours and its socket"),
    ("launchd", "an agent of yours, on a Mac"),
    ("compose", "a compose file, beside an app of yours"),
    ("k8s", "a manifest, in the pod of an app of yours"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.description = "Write a configuration with comments. A terminal is asked for what no flag says."
    parser.add_argument("--preset", metavar="NAME", help="a vendor's rules, such as giantcontext")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--api-key-file", metavar="FILE", help="the file that holds the API key, or will")
    key.add_argument("--api-key-env", metavar="NAME", help="the variable that holds it")
    key.add_argument("--api-key-keyring", metavar="ENTRY", help="its SERVICE/USER in the keyring")
    parser.add_argument("--upstream", metavar="URL", help="the origin to forward to (the preset's)")
    parser.add_argument("--listen", metavar="ADDRESS", help="where apps connect (127.0.0.1:8080)")
    parser.add_argument("--admin-listen", metavar="ADDRESS", help="health, metrics, status (127.0.0.1:8081)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (~/.config/sidecar/config.yaml)")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    for kind, what in _SERVICES:
        parser.add_argument(f"--{kind}", action="store_true", help=f"also {what}")


def run(args: argparse.Namespace) -> int:
    """Write; return the exit code."""
    from sidecar.config.units import Unfit
    from sidecar.errors import ConfigError
    from sidecar.scaffold.placing import Occupied
    from sidecar.scaffold.plan import Unsuitable

    try:
        return _init(args, {name: text for name, text in os.environ.items() if not name.startswith("SIDECAR_")})
    except Occupied as taken:
        complain(f"{taken.path} is there already; nothing was written. --force overwrites it, -o names another place.")
        return FAILED
    except (Unfit, Unsuitable) as problem:
        complain(f"{problem}. Nothing was written.")
        return WRONG
    except ConfigError as error:
        code = refuse(error)
        complain("nothing was written.")
        return code
    except OSError as error:
        complain(f"{error.filename or 'the file'} cannot be written: {reason(error)}.")
        return FAILED
    except EOFError:
        complain("the questions were not answered; nothing was written. Flags answer them too: sidecar init --help.")
        return FAILED


def _init(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from pathlib import Path

    from sidecar.config.sources import SYSTEM_FILE, default_files
    from sidecar.config.units import Unfit
    from sidecar.scaffold import placing, plan
    from sidecar.scaffold.next_steps import next_steps

    home = plan.home_of(environ)
    default = Path(default_files(environ)[0])
    if str(default) == SYSTEM_FILE and not args.output:
        raise Unfit("HOME is not set, so nobody has a configuration of their own: name the place by -o")
    path = Path(os.path.abspath(args.output)) if args.output else default
    kinds: list[Kind] = [kind for kind in plan.KINDS if getattr(args, kind)]
    kept = bool(kinds) and path.exists() and not args.force and not _chosen(args)
    if not environ.get("HOME") and {"systemd", "launchd"}.intersection(kinds):
        raise Unfit("HOME is not set, so there is no place for what starts a sidecar at somebody's login")
    others = [place for kind in kinds for place in plan.paths_of(kind, home)]
    schema = path.with_name(plan.SCHEMA_NAME)
    renews = plan.is_older_schema(schema)
    if not args.force:
        placing.check_free(others if kept else [path, *others, *([] if renews else [schema])])
    if kept:
        key, service = None, plan.kept_service(path, environ)
        files = []
    else:
        choices = _choices(args, path, home)
        key, service = choices.key, plan.new_service(choices, path, environ)
        files = plan.config_files(service)
    for kind in kinds:
        files += plan.service_files(kind, service, home)
    for file in files:
        placing.put(file, over=args.force or (renews and file.path == schema))
    _tell(service, [file.path for file in files], kept)
    print("\n".join(next_steps(service, key, kinds, environ, is_default=path == default)))
    return FINE


def _tell(service: Service, written: Sequence[Path], kept: bool) -> None:
    if kept:
        print(f"kept   {service.config}")
    print(*(f"wrote  {path}" for path in written), sep="\n")
    print("\nNext:")


def _chosen(args: argparse.Namespace) -> bool:
    """Whether a flag says what the configuration is to be."""
    names = ("preset", "api_key_file", "api_key_env", "api_key_keyring", "upstream", "listen", "admin_listen")
    return any(getattr(args, name) for name in names)


def _choices(args: argparse.Namespace, path: Path, home: Home) -> Choices:
    """Return what flags say, and a person where they do not. Without a terminal there is nobody to ask."""
    from sidecar.config.units import Unfit
    from sidecar.scaffold import choices, questions

    asked = is_terminal(sys.stdin) and is_terminal(sys.stdout)
    preset: str = args.preset or (questions.ask_preset(input, print) if asked else "")
    if preset not in choices.PURPOSES:
        raise Unfit(f"--preset takes one of {', '.join(choices.PURPOSES)}")
    default = path.with_name(choices.KEY_FILE_NAME)
    key = _key_by_flag(args, preset)
    if key is None and asked:
        key = questions.ask_key(input, print, preset, _short(str(default), home))
    upstream = args.upstream or ""
    if not upstream and not choices.has_api(preset):
        if not asked:
            raise Unfit(f"the preset {preset} knows no API: name its base URL by --upstream")
        upstream = questions.ask_upstream(input, print)
    key = key or choices.KeyPlace("file", str(default))
    if key.kind == "file":
        key = choices.KeyPlace("file", _short(os.path.abspath(os.path.expanduser(key.name)), home))
    return choices.Choices(
        preset, key, upstream, args.listen or choices.LISTEN, args.admin_listen or choices.ADMIN_LISTEN
    )


def _key_by_flag(args: argparse.Namespace, preset: str) -> KeyPlace | None:
    from sidecar.scaffold import choices, questions

    if args.api_key_keyring:
        return choices.KeyPlace("keyring", args.api_key_keyring)
    if args.api_key_env:
        return questions.key_place(f"${args.api_key_env}", preset)
    if args.api_key_file:
        # No shell has the home for the ~ of --flag=~/file.
        return questions.key_place(os.path.join(".", os.path.expanduser(args.api_key_file)), preset)
    return None


def _short(path: str, home: Home) -> str:
    """Return a path as a person writes it: from `~` where that is."""
    inside = path.startswith(f"{home.user}/") and str(home.user) != "/"
    return "~" + path[len(str(home.user)) :] if inside else path
