"""A manifest for Kubernetes: a sidecar in an app's pod, as a native one (1.29), which starts first and ends last."""

from __future__ import annotations

from sidecar import __version__
from sidecar.scaffold.quoting import yaml_text
from sidecar.scaffold.service import Service

FILE_NAME = "sidecar.k8s.yaml"

_ADMIN_PORT = 8081

_FILE = """\
# Written by `sidecar init --k8s`, for Kubernetes 1.29 and later. What is marked CHANGE is yours. The API key is not
# in here; from its file:
#   kubectl create secret generic sidecar-api-key --from-file=api-key={key_file}
# then: kubectl apply -f {file_name}

apiVersion: v1
kind: ConfigMap
metadata:
  name: sidecar
data:
  # A change of it gets here by itself, and is taken up at a restart of the pod.
  config.yaml: |
{config}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  replicas: 1
  selector: {{matchLabels: {{app: app}}}}
  template:
    metadata:
      labels: {{app: app}}
    spec:
      # Longer than drain.lame_duck and drain.most together.
      terminationGracePeriodSeconds: 40
      # So that the sidecar may read the key's file, which belongs to root.
      securityContext: {{fsGroup: 65532}}
      initContainers:
        - name: sidecar
          # CHANGE: there is no published image; build one from the project's folder and push it to your registry.
          image: registry.example.com/credential-sidecar:{version}
          args: [run]
          # What makes it a sidecar: it runs beside the app, and does not hold up its start once it is started.
          restartPolicy: Always
          env:
            - {{name: SIDECAR_CONFIG, value: /etc/sidecar/config.yaml}}
            - {{name: SIDECAR_API_KEY_FILE, value: /run/secrets/sidecar/api-key}}
            # The kubelet and Prometheus dial the pod's address. Beyond loopback only health and metrics are served.
            - {{name: SIDECAR_ADMIN_LISTEN, value: "0.0.0.0:{port}"}}
          ports:
            - {{name: admin, containerPort: {port}}}
          volumeMounts:
            - {{name: sidecar-config, mountPath: /etc/sidecar, readOnly: true}}
            - {{name: sidecar-api-key, mountPath: /run/secrets/sidecar, readOnly: true}}
          # The app starts once the first token is there.
          startupProbe: {{httpGet: {{path: /startupz, port: admin}}, periodSeconds: 1, failureThreshold: 120}}
          livenessProbe: {{httpGet: {{path: /livez, port: admin}}, periodSeconds: 10}}
          readinessProbe: {{httpGet: {{path: /readyz, port: admin}}, periodSeconds: 5}}
          resources:
            requests: {{cpu: 20m, memory: 48Mi}}
            limits: {{memory: 192Mi}}
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {{drop: [ALL]}}
            seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: app
          # CHANGE: your app; its base URL is {base_url}
          image: registry.example.com/app:latest
      volumes:
        - {{name: sidecar-config, configMap: {{name: sidecar}}}}
        - {{name: sidecar-api-key, secret: {{secretName: sidecar-api-key, defaultMode: 0440}}}}
"""


def manifest(service: Service, key_file: str) -> str:
    """Return the manifest.

    Args:
        service: what is to run; its configuration has to be the short form.
        key_file: the path of the file that holds the key, to make the Secret of.
    """
    return _FILE.format(
        file_name=FILE_NAME,
        version=__version__,
        port=_ADMIN_PORT,
        base_url=service.base_url,
        key_file=yaml_text(key_file) if " " in key_file else key_file,
        config="\n".join(f"    {line}".rstrip() for line in service.text.splitlines()),
    )
