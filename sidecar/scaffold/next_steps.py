"""What to do after `sidecar init`, in the order in which to do it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sidecar.scaffold import compose, kubernetes, launchd
from sidecar.scaffold.choices import ADMIN_LISTEN, KeyPlace
from sidecar.scaffold.config_file import lines_to_change
from sidecar.scaffold.plan import Kind, container_key_file
from sidecar.scaffold.service import Service

_SIGNING = ("preset: jwt-bearer", "preset: github-app")


@dataclass(frozen=True, slots=True)
class Step:
    """What it is for, and the lines to type."""

    purpose: str
    lines: tuple[str, ...] = ()


def next_steps(
    service: Service,
    key: KeyPlace | None,
    kinds: Collection[Kind],
    environ: Mapping[str, str],
    *,
    is_default: bool,
) -> list[str]:
    """Return the steps as numbered lines.

    Args:
        service: what was written.
        key: where the key is; None for a configuration that was there.
        kinds: what else was written.
        environ: the environment.
        is_default: commands find the configuration without being told.
    """
    flag = "" if is_default else f" -c {shlex.quote(str(service.config))}"
    steps = [*_changes(service), *_keys(service, key, kinds, environ, flag)]
    steps.append(Step("see whether the key works", (f"sidecar check{flag} --exchange",)))
    steps += [_start(kind, service, flag) for kind in kinds] or [Step("start it", (f"sidecar run{flag}",))]
    if not {"compose", "k8s"}.intersection(kinds):
        curl = f"curl -i {service.base_url}/" if service.base_url else ""
        admin = "" if service.admin_listen == ADMIN_LISTEN else f" --admin {shlex.quote(service.admin_listen)}"
        steps.append(Step("use it", tuple(filter(None, (f"sidecar wait{admin} && sidecar status{admin}", curl)))))
    lines = []
    for number, step in enumerate(steps, 1):
        lines += [f"  {number}. {step.purpose}", *(f"       {line}" for line in step.lines)]
    return lines


def _changes(service: Service) -> list[Step]:
    numbers = lines_to_change(service.text)
    steps = []
    if numbers:
        where = ", ".join(map(str, numbers))
        word = "lines" if len(numbers) > 1 else "line"
        steps.append(Step(f"fill in what is marked CHANGE in {service.config} ({word} {where})"))
    signs = any(line.strip() in _SIGNING for line in service.text.splitlines())
    if signs and find_spec("cryptography") is None:
        steps.append(Step("install what signs", ("pip install 'credential-sidecar[sign]'",)))
    return steps


def _keys(
    service: Service, key: KeyPlace | None, kinds: Collection[Kind], environ: Mapping[str, str], flag: str
) -> list[Step]:
    """Return how the key gets to where it is looked for, if it is not there."""
    steps = []
    if key and key.kind == "env" and not environ.get(key.name):
        steps.append(Step("paste the API key, and press Enter", (f"read -rs {key.name} && export {key.name}",)))
    if key and key.kind == "keyring":
        steps.append(Step("store the API key", (f"sidecar login{flag}",)))
    wanted = service.key_file if not {"compose", "k8s"}.intersection(kinds) else container_key_file(service)
    needed = service.key_is_there or any(kind != "launchd" or service.key_file for kind in kinds)
    if wanted and needed and not wanted.exists():
        steps.append(Step("paste the API key, then press Enter and Ctrl-D", (_write(wanted),)))
    return steps


def _write(path: Path) -> str:
    return f"(umask 077; cat > {shlex.quote(str(path))})"


def _start(kind: Kind, service: Service, flag: str) -> Step:
    match kind:
        case "systemd":
            units = "sidecar.socket sidecar.service"
            return Step(
                "start it now and at every login",
                ("systemctl --user daemon-reload", f"systemctl --user enable --now {units}"),
            )
        case "launchd":
            return Step(
                "start it now and at every login",
                (f"launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{launchd.FILE_NAME}",),
            )
        case "compose":
            return Step(
                "build the image (in the project's folder: docker build -t credential-sidecar .), start both",
                (f"APP_IMAGE=your-app docker compose -f {compose.FILE_NAME} up",),
            )
        case "k8s":
            secret = f"--from-file=api-key={shlex.quote(str(container_key_file(service)))}"
            return Step(
                "push the image, name it in the manifest, then",
                (
                    f"kubectl create secret generic sidecar-api-key {secret}",
                    f"kubectl apply -f {kubernetes.FILE_NAME}",
                ),
            )
