# syntax=docker/dockerfile:1
# m3ser serve: REST, WebSocket and the page. No torch, no root, nothing written but to /tmp.
#
#   docker build -t m3ser .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8080:8080 m3ser

FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /opt/m3ser
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY recipes recipes
COPY src src
RUN /opt/m3ser/bin/pip install --no-cache-dir --disable-pip-version-check ".[serve,asr,media]"
# Nothing can be compiled to a file where the root file system is read-only, so it is done here.
RUN /opt/m3ser/bin/python -m compileall -q -j 0 /opt/m3ser/lib

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent m3ser
COPY --from=build /opt/m3ser /opt/m3ser
# Caches of libraries go to /tmp, which is the one place that has to be writable.
ENV PATH=/opt/m3ser/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 GRADIO_ANALYTICS_ENABLED=False
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
# As long as decoders, model and transcriber need to start.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
# SIGTERM has what was accepted answered first. In a container, every network is the container's own.
STOPSIGNAL SIGTERM
ENTRYPOINT ["m3ser", "serve", "--host", "0.0.0.0", "--port", "8080"]
