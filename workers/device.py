"""Which class of machine decodes: the part of a profile that a processor or a GPU decides."""

import platform
import subprocess
from pathlib import Path

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def device_class(device: str) -> str:
    """For example `x86_64-avx2` or `NVIDIA H200 sm_90`: machines of one class are meant to agree bit by bit."""
    return _gpu_class() if device == "cuda" else _cpu_class()


def _cpu_class() -> str:
    # ONNX Runtime picks its matrix kernels by the widest vector unit, and they round differently.
    flags = _cpu_flags()
    widest = next(
        (flag for flag in ("avx512f", "avx2", "avx", "asimd") if flag in flags), "baseline"
    )
    return f"{platform.machine()}-{widest}"


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    for line in lines:
        if line.lower().startswith(("flags", "features")):
            return set(line.partition(":")[2].split())
    return set()


def _gpu_class() -> str:
    query = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    first = subprocess.run(
        query, capture_output=True, text=True, check=True, timeout=20
    ).stdout.splitlines()[0]
    name, _, capability = first.rpartition(",")
    return f"{name.strip()} sm_{capability.strip().replace('.', '')}"
