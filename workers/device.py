"""Which class of machine decodes: the part of a profile that a processor or a GPU decides."""

import platform
import subprocess
from pathlib import Path

#: ONNX Runtime's names of them.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

#: Options of the CUDA provider (onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html): two processes
#: that draw the same sample must run the same kernels, and a GPU must agree with the CPU within a grey level.
_CUDA = {
    # The default, EXHAUSTIVE, measures kernels when it starts, and takes whichever was faster that time;
    # HEURISTIC takes the one that cuDNN recommends for the shape and the device.
    "cudnn_conv_algo_search": "HEURISTIC",
    # TF32 keeps 10 bits of a factor's mantissa where float32 has 23.
    "use_tf32": "0",
    # The batch never changes, so what the first pass takes is all that is ever needed; the other strategy doubles.
    "arena_extend_strategy": "kSameAsRequested",
    # Kernels are not chosen by how fast they were just now.
    "tunable_op_enable": "0",
}


def provider_options(device: str, *, graph: bool = False) -> dict[str, str]:
    """Of the session's provider; `graph` has passes captured once and replayed as one launch."""
    if device == "cpu":
        return {}
    return _CUDA | {"enable_cuda_graph": "1" if graph else "0"}


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
