"""Where training runs: the CPU, or a CUDA device with mixed precision and compilation."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from service.contract.errors import StartRefused


@dataclass(frozen=True)
class Accelerator:
    """`mixed` computes matrix products in bfloat16, `compiled` through torch.compile.

    bfloat16 keeps float32's range, so no loss scaling is needed (Micikevicius et al., "Mixed
    Precision Training", 2018, arXiv:1710.03740, scale for float16's).
    """

    device: torch.device
    mixed: bool = False
    compiled: bool = False

    def precision(self) -> AbstractContextManager[object]:
        """The context in which encoder and decoder compute."""
        if not self.mixed:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


CPU = Accelerator(torch.device("cpu"))


def accelerator(
    device: Literal["auto", "cpu", "cuda"],
    *,
    mixed: bool | None = None,
    compiled: bool = False,
    threads: int | None = None,
) -> Accelerator:
    """The device asked for; `auto` takes CUDA where there is one. `mixed` None: on CUDA only.

    `threads` are those of this process's torch from now on; None leaves them.
    Raises StartRefused where CUDA is asked for and not there.
    """
    if threads:
        torch.set_num_threads(threads)
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise StartRefused(
            "no CUDA device, or a CPU build of torch: try --device cpu, or see `nvidia-smi`"
        )
    on_cuda = there and device != "cpu"
    return Accelerator(
        torch.device("cuda" if on_cuda else "cpu"),
        mixed=on_cuda if mixed is None else mixed,
        compiled=compiled,
    )
