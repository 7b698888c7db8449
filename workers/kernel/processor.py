"""What the processor can do for which kernels are compiled."""

import llvmlite.binding as llvm
import numba


def has_feature(name: str) -> bool:
    """Whether instructions of this name, as LLVM calls them, may be used: here, and by Numba's own settings."""
    if numba.config.CPU_FEATURES is not None:
        return f"+{name}" in numba.config.CPU_FEATURES.split(",")
    if numba.config.CPU_NAME not in (None, "host"):
        return False
    return bool(llvm.get_host_cpu_features().get(name, False))
