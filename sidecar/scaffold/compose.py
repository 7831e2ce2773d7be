"""A compose file: a sidecar and an app in one network namespace, so that `127.0.0.1` is the same for both."""

from __future__ import annotations

from sidecar import __version__
from sidecar.scaffold.quoting import compose_text
from sidecar.scaffold.service import Service

FILE_NAME = "compose.sidecar.yaml"

_FILE = """\
# Written by `sidecar init --compose`. There is no published image: build one from the project's folder first,
#   docker build -t sidecar:{version} .
# then: docker compose -f {file_name} up

services:
  app:
    # CHANGE: your app. It connects to the sidecar as it would on your machine.
    image: "${{APP_IMAGE:-curlimages/curl:latest}}"
    command: [curl, --silent, --show-error, --include, {base_url}/]
    # One network namespace for both; ports that others are to reach are published by `sidecar` below.
    network_mode: "service:sidecar"
    depends_on:
      sidecar: {{condition: service_healthy}}

  sidecar:
    image: "${{SIDECAR_IMAGE:-sidecar:{version}}}"
    command: [run]
    # Whoever owns the key's file, mode 0600: a file as a secret keeps its owner.
    user: "{uid}:{gid}"
    environment:
      SIDECAR_CONFIG: /etc/sidecar/config.yaml
      SIDECAR_API_KEY_FILE: /run/secrets/api-key
      SIDECAR_ADMIN_LISTEN: 127.0.0.1:8081
    secrets: [api-key]
    volumes:
      - {{type: bind, source: {config}, target: /etc/sidecar/config.yaml, read_only: true}}
    healthcheck:
      test: [CMD, sidecar, healthcheck, --ready]
      interval: 5s
      timeout: 3s
      start_period: 20s
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    # Longer than drain.lame_duck and drain.most together.
    stop_grace_period: 40s
    restart: unless-stopped

secrets:
  api-key: {{file: {key_file}}}
"""


def compose_file(service: Service, key_file: str, uid: int, gid: int) -> str:
    """Return the compose file.

    Args:
        service: what is to run; its configuration has to be the short form.
        key_file: the absolute path of the file that holds the key.
        uid, gid: who runs it: the owner of that file.
    """
    return _FILE.format(
        version=__version__,
        file_name=FILE_NAME,
        base_url=service.base_url,
        uid=uid,
        gid=gid,
        config=compose_text(str(service.config)),
        key_file=compose_text(key_file),
    )
