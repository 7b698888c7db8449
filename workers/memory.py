"""Memory that a forward pass reads and writes: of the processor, or of a CUDA device and page-locked beside it."""

import ctypes
import math
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from service.contract.errors import StartRefused

Array = npt.NDArray[Any]
DType = type[np.generic]

#: CUDA tells the direction of a copy by the two addresses (cudaMemcpyDefault).
_BY_ADDRESS = 4
#: Page-locked for every context of the process (cudaHostAllocPortable).
_PORTABLE = 1


class Memory(Protocol):
    """Where the buffers of a forward pass lie, and how bytes move between them."""

    #: The provider's name for it, as an I/O binding takes it.
    device: str

    def on_device(self, size_bytes: int) -> "Span":
        """Bytes that the provider works on; their address stays as long as the span lives."""

    def on_host(self, shape: Sequence[int], dtype: DType) -> Array:
        """An array of the host that is copied to the device and back at full speed."""

    def copy(self, *, target: int, source: int, size_bytes: int) -> None:
        """Copy between two addresses; done when it returns."""


class Span:
    """Bytes at one address, given back when nobody holds the span, or an array over it."""

    def __init__(self, address: int, size_bytes: int, owner: object = None) -> None:
        self.address, self._size_bytes, self._owner = address, size_bytes, owner

    @property
    def __array_interface__(self) -> dict[str, object]:
        """Of memory of the host: NumPy's arrays over it keep the span."""
        data, shape = (self.address, False), (self._size_bytes,)
        return {"version": 3, "typestr": "|u1", "shape": shape, "data": data}


class HostMemory:
    """Of the CPU provider, where device and host are one."""

    device = "cpu"

    def on_device(self, size_bytes: int) -> Span:
        array = np.empty(size_bytes, np.uint8)
        return Span(array.ctypes.data, size_bytes, array)

    def on_host(self, shape: Sequence[int], dtype: DType) -> Array:
        return np.empty(shape, dtype)

    def copy(self, *, target: int, source: int, size_bytes: int) -> None:
        ctypes.memmove(target, source, size_bytes)


class CudaMemory:
    """Of the CUDA device that the process sees first, by way of the CUDA runtime that ONNX Runtime loaded.

    Not yet run on a GPU. ONNX Runtime's Python calls copy from a device into memory allocated anew for every pass,
    and give page-locked memory only where the provider is a plugin (onnxruntime#28038); these are five calls of the
    runtime's memory group (docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__MEMORY.html), without the GIL.
    """

    device = "cuda"

    def __init__(self, cuda_version: str) -> None:
        """Raises StartRefused when the runtime of that version cannot be loaded."""
        name = f"libcudart.so.{cuda_version.partition('.')[0]}"
        try:
            self._cuda = ctypes.CDLL(name)
        except OSError as error:
            raise StartRefused(f"{name} does not load: install the `gpu` extra") from error
        self._cuda.cudaGetErrorString.restype = ctypes.c_char_p

    def on_device(self, size_bytes: int) -> Span:
        return self._span("cudaMalloc", "cudaFree", size_bytes)

    def on_host(self, shape: Sequence[int], dtype: DType) -> Array:
        size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        span = self._span("cudaHostAlloc", "cudaFreeHost", size_bytes, ctypes.c_uint(_PORTABLE))
        return np.asarray(span).view(dtype).reshape(shape)

    def copy(self, *, target: int, source: int, size_bytes: int) -> None:
        addresses = ctypes.c_void_p(target), ctypes.c_void_p(source)
        self._call("cudaMemcpy", *addresses, ctypes.c_size_t(size_bytes), _BY_ADDRESS)

    def _span(self, allocate: str, free: str, size_bytes: int, *flags: object) -> Span:
        address = ctypes.c_void_p()
        self._call(allocate, ctypes.byref(address), ctypes.c_size_t(size_bytes), *flags)
        span = Span(address.value or 0, size_bytes)
        # When the process ends, CUDA is gone before Python is, and takes its memory with it.
        weakref.finalize(span, self._cuda[free], address).atexit = False
        return span

    def _call(self, name: str, *arguments: object) -> None:
        fault = self._cuda[name](*arguments)
        if fault:
            raise RuntimeError(f"{name}: {self._cuda.cudaGetErrorString(fault).decode()}")
