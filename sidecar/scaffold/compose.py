"""A compose file: a sidecar and an app in one network namespace, so that `127.0.0.1` is the same for both."""

from __future__ import annotations

from sidecar.scaffold.quoting import compose_text
from sidecar.scaffold.service import Service

FILE_NAME = "compose.sidecar.yaml"

_FILE = """\
# Written by `sidecar init --compose`. There is no published image: build one in the project's folder first,
#   docker build -t credential-sidecar .
# then: APP_IMAGE=your-app docker compose -f {file_name} up

services:
  app:
    # CHANGE: your app. Its base URL is {base_url}, as it would be on your machine; its first request may
    # come before the sidecar listens: have it tried again. It owns the network, so its ports are published here.
    image: ${{APP_IMAGE:?the image of your app}}

  sidecar:
    image: ${{SIDECAR_IMAGE:-credential-sidecar}}
    # One network namespace for both; and a sidecar that is restarted leaves the app's alone.
    network_mode: "service:app"
    depends_on: [app]
    # Whoever owns the file of the key, which is mode 0600.
    user: "{uid}:{gid}"
    environment:
      SIDECAR_CONFIG: /etc/sidecar/config.yaml
      SIDECAR_API_KEY_FILE: /run/secrets/api-key
      SIDECAR_ADMIN_LISTEN: 127.0.0.1:8081
    # A file that was put in the place of either one counts after `docker compose restart sidecar`.
    secrets: [api-key]
    volumes:
      - {{type: bind, source: {config}, target: /etc/sidecar/config.yaml, read_only: true}}
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
        file_name=FILE_NAME,
        base_url=service.base_url,
        uid=uid,
        gid=gid,
        config=compose_text(str(service.config)),
        key_file=compose_text(key_file),
    )
