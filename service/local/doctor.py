"""`latentmill doctor`: what of the needed things is there, and what to do about the rest."""

import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from typing import NamedTuple

import httpx

from service.adapters.events import configure_logging
from service.adapters.redis_client import check_redis, connect
from service.adapters.storage import open_storage
from service.contract.errors import LatentmillError, StartRefused
from service.contract.settings import Settings, default_data_dir, load_settings
from service.local.embedded_redis import find_server, server_version

_OLDEST_PYTHON = (3, 11)


class Finding(NamedTuple):
    """One thing looked at. `detail` says what was found, or what to do."""

    what: str
    detail: str
    is_fine: bool = True

    @property
    def mark(self) -> str:
        return "ok" if self.is_fine else "FAULT"


def examine(url: str) -> list[Finding]:
    """Everything that `latentmill up` needs, and whether a server answers at `url`."""
    settings = load_settings(Settings)
    configure_logging(settings)
    looks: dict[str, Callable[[], str]] = {
        "Python": _python,
        "ONNX Runtime": _onnxruntime,
        "Redis": lambda: _redis(settings),
        "storage": lambda: _storage(settings),
        "server": lambda: _server(url),
    }
    return [_finding(what, look) for what, look in looks.items()]


def _finding(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look())
    except LatentmillError as error:
        return Finding(what, error.detail, is_fine=False)


def _python() -> str:
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST_PYTHON:
        raise StartRefused(f"{told}; 3.11 or later is needed")
    return told


def _onnxruntime() -> str:
    found = {d.name: d.version for d in distributions() if d.name in _RUNTIMES}
    if not found:
        raise StartRefused("not installed: `pip install 'latentmill[cpu]'`, or `[gpu]` for CUDA")
    if len(found) > 1:
        raise StartRefused(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "`pip uninstall onnxruntime onnxruntime-gpu`, then install one"
        )
    return " ".join(f"{name} {version}" for name, version in found.items())


_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")


def _redis(settings: Settings) -> str:
    if "redis_url" in settings.model_fields_set:
        check_redis(connect(settings))
        return "the server of LATENTMILL_REDIS_URL answers"
    binary = find_server()
    major, minor = server_version(binary)
    return f"{binary} ({major}.{minor}), which `latentmill up` starts"


def _storage(settings: Settings) -> str:
    if "storage_url" in settings.model_fields_set:
        open_storage(settings).check()
        return f"{settings.storage_url} answers"
    folder = default_data_dir()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise StartRefused(f"{there} is not writable: give `latentmill up` a --data-dir")
    return f"{folder}, which `latentmill up` uses"


def _server(url: str) -> str:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=3.0)
    except (httpx.HTTPError, httpx.InvalidURL):
        return f"none at {url}; `latentmill up` starts one"
    if answer.status_code == httpx.codes.OK:
        return f"{url} is ready"
    raise StartRefused(f"{url} is not ready: {answer.text[:200]}")
