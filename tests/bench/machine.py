"""Where and when figures were measured: they mean nothing without it."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from service.local.stack import cores
from workers.device import device_class


def machine() -> dict[str, str]:
    """Processor, cores, versions and the date."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": str(cores()),
        "device class": device_class("cpu"),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "numba": version("numba"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
