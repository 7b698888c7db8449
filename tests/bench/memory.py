"""The peak memory of a worker process, for a job and for one a hundred times as large."""

from pathlib import Path

from latentmill import Client

from service.contract.card import DecoderCard
from service.local.stack import Stack
from tests.bench.served import completed, served


def peaks_mb(onnx: bytes, card: DecoderCard, *, counts: tuple[int, ...]) -> dict[int, float]:
    """By count: the most memory that any worker process of a fresh stack held (VmHWM), in MB."""
    return {count: _peak_mb(onnx, card, count) for count in counts}


def _peak_mb(onnx: bytes, card: DecoderCard, count: int) -> float:
    with served(onnx, card) as stack, Client(stack.url) as client:
        completed(client, card, count, "zip", seed=1)
        return max(_high_water_mb(pid) for pid in worker_pids(stack))


def worker_pids(stack: Stack) -> list[int]:
    """Process ids of the stack's workers."""
    return [pid for name, pid in stack.supervisor.pids.items() if name.startswith("worker")]


def _high_water_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) / 1024
