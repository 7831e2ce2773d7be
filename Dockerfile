# The sidecar's image: an interpreter, its packages and certificates, and nothing else. No shell, no package manager.
#
#   docker build -t credential-sidecar .
#
# BASE is any image with glibc, Python 3.13 with pip, and ca-certificates; nothing of it but what the sidecar needs gets
# into the result. A private package index: --secret id=pip.conf,src=pip.conf, with cert = /run/secrets/ca.pem in it and
# --secret id=ca.pem,src=... where it has a certificate authority of its own. Neither is kept in any layer.
ARG BASE=docker.io/library/python:3.13-slim-trixie

FROM ${BASE} AS builder
# run, or sign for the presets that sign (jwt-bearer, github-app): 15 MB more.
ARG LOCK=run
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The dependencies before the project, so that a change of ours does not install them anew. By hash, and never built here.
COPY requirements/build.txt requirements/${LOCK}.txt requirements/
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    python3.13 -m venv --without-pip /opt/sidecar \
    && python3.13 -m pip --python /opt/sidecar/bin/python3.13 install --no-cache-dir --no-compile \
        --require-hashes --no-deps --only-binary :all: -r requirements/${LOCK}.txt \
    && python3.13 -m pip install --no-cache-dir --no-compile --target /opt/flit \
        --require-hashes --no-deps --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY sidecar sidecar
RUN PYTHONPATH=/opt/flit python3.13 -m pip --python /opt/sidecar/bin/python3.13 install --no-cache-dir --no-compile \
        --no-index --no-build-isolation --no-deps .
COPY image/root image/root
# The time of every file, so that two builds of one commit make the same layer.
ARG SOURCE_DATE_EPOCH=0
RUN python3.13 -m image.root --environment /opt/sidecar --into /rootfs --epoch ${SOURCE_DATE_EPOCH}

FROM scratch
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="credential-sidecar" \
      org.opencontainers.image.description="A local reverse proxy that makes authentication somebody else's problem." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=builder /rootfs /
ENV PATH=/opt/sidecar/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
# Apps, and health and metrics. Both listen on loopback alone until they are told otherwise.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["sidecar", "healthcheck"]
# docker run IMAGE check; docker run IMAGE --help
ENTRYPOINT ["sidecar"]
CMD ["run"]
