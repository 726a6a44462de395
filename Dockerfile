# Two images:
#   docker build --target api  -t tunery-api .    the HTTP server, without torch
#   docker build --target full -t tunery .        server, trainer and the offline base model
#
#   docker run --rm -v tunery-data:/data --entrypoint python tunery -m tunery_server key --data-dir /data
#   docker run -p 8000:8000 -v tunery-data:/data tunery
#
# The first line makes the key that the second one asks for: no open door, not even for a moment.
#
# The base image fixes Python; constraints.txt fixes every package.

FROM python:3.11-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1
# The directory is made here, so that a new volume inherits its owner.
RUN useradd --uid 10001 --create-home tunery \
 && install -d -o tunery -g tunery -m 0700 /data
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE constraints.txt ./
COPY client client
COPY server server
COPY trainer trainer
VOLUME /data
EXPOSE 8000
# Without a proxy: a variable of the host must not send a question about this container elsewhere.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8000/health/live', timeout=4)"]
# `tunery serve` replaces itself with the supervisor, which is then PID 1 and gets SIGTERM.
ENTRYPOINT ["tunery", "serve"]
CMD ["--host", "0.0.0.0", "--port", "8000", "--data-dir", "/data"]
STOPSIGNAL SIGTERM

FROM base AS api
RUN pip install -c constraints.txt '.[server,postgres]'
WORKDIR /data
USER tunery
# Nothing here can train or ingest: jobs are left to who can.
CMD ["--host", "0.0.0.0", "--port", "8000", "--data-dir", "/data", "--devices", "none", "--light-slots", "0"]

FROM base AS full
RUN pip install -c constraints.txt torch==2.13.0
RUN pip install -c constraints.txt '.[server,trainer,minilm,postgres,s3]'
WORKDIR /data
USER tunery
