"""Run by HEALTHCHECK inside a role's container: exits 0 when the role does its work, else says why not."""

import socket
import sys
import time
import urllib.request

from service.adapters.redis_client import connect
from service.contract.settings import ApiSettings, Settings, load_settings


def api() -> bool:
    """The process answers."""
    port = load_settings(ApiSettings).port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=3) as answer:
        return bool(answer.status == 200)


def worker() -> bool:
    """A worker of this container has told the ledger of itself within the last seconds."""
    client = connect(load_settings(Settings))
    alive = client.zrangebyscore("lm:workers", time.time() * 1000, "+inf")
    return any(name.startswith(f"{socket.gethostname()}-") for name in alive)


def sweep() -> bool:
    """The sweep has compared storage with the Redis that runs now."""
    client = connect(load_settings(Settings))
    return bool(client.get("lm:boot") == client.info("server")["run_id"])


if __name__ == "__main__":
    role = {"api": api, "worker": worker, "sweep": sweep}[sys.argv[1]]
    sys.exit(0 if role() else f"not so: {role.__doc__}")
