# What docker-compose.yml takes from registries, made from Debian's packages: for engines that reach none.
ARG BASE=python:3.11-slim-bookworm


FROM ${BASE} AS redis
# Redis 7.0, under the names that the compose file calls.
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \
    && ln -s "$(command -v redis-server)" /usr/local/bin/valkey-server \
    && ln -s "$(command -v redis-cli)" /usr/local/bin/valkey-cli \
    && mkdir -p /data && chown 999:999 /data
WORKDIR /data
USER 999:999


FROM ${BASE} AS store
# Ceph's gateway with one monitor and one disk: an S3 store whose conditional writes are atomic.
RUN apt-get update && apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd \
    && rm -rf /var/lib/apt/lists/* && mkdir -p /data && chown 1000:1000 /data
COPY tests/compose/ceph /usr/local/bin/ceph-store
USER 1000:1000
ENTRYPOINT ["ceph-store"]
