"""`python -m tests.bench.gpu`: a decoder on a GPU, bare and served; how long the GPU waits; which bytes stay the same.

Complete without a GPU too: the CPU provider then runs the same passes over fixed buffers by one thread, and says so.

How long the GPU waits is told three ways. `made here`: shards are made in this process by the worker's own code, and
the seconds in which the device's thread was in a pass, copies included, are taken from the wall clock. `served`: the
job's images times the seconds of a pass in that run, taken from the job's seconds from acceptance to outcome. And
what `nvidia-smi` sampled while the job ran, which counts a moment as busy when any kernel ran in it.
"""

import platform
import subprocess
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

from latentmill import Client
from pydantic import BaseModel, ConfigDict

from export.publish import load_folder
from service.contract.card import DecoderCard
from service.contract.errors import StartRefused
from service.local.stack import cores
from tests.bench.making import Making, making
from tests.bench.passes import memory_of, pass_rates
from tests.bench.sameness import Pixels, pixel_difference, same_bytes
from tests.bench.served import completed, seconds_of, served
from workers.decoder import profile_of

_SAMPLE_MS = 100


class Waiting(BaseModel):
    """Shares of the time in which the device drew nothing; None where there is no GPU to ask."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_here: float
    served: float | None
    nvidia_smi: float | None


class GpuFigures(BaseModel):
    """What one run on one machine found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    provider: str
    note: str
    bare: dict[int, dict[str, float]]
    made_here: Making
    served_images_per_s: float
    served_to_bare: float
    waiting: Waiting
    same_bytes: dict[str, bool]
    pixels_to_cpu: Pixels


def measured(
    onnx: bytes, card: DecoderCard, *, device: str, count: int, seconds: float
) -> GpuFigures:
    """Everything, one after the other. Raises StartRefused when `device` is not there."""
    memory_of(device)
    bare = pass_rates(onnx, card, device=device, seconds=seconds)
    made = making(onnx, card, device=device, count=count, threads=cores())
    rate, idle = _served_rate(onnx, card, device=device, count=count)
    # A pass of a served job takes what a pass took here; only one process drew in both.
    waiting = 1 - rate * made.pass_s / card.batch_size if device == "cuda" else None
    return GpuFigures(
        machine=f"{profile_of(device)['device']}, {platform.machine()}, {cores()} cores",
        provider=profile_of(device)["provider"],
        note="" if device == "cuda" else "no GPU was used",
        bare=bare,
        made_here=made,
        served_images_per_s=rate,
        served_to_bare=rate / max(bare[card.batch_size].values()),
        waiting=Waiting(made_here=made.waiting, served=waiting, nvidia_smi=idle),
        same_bytes=same_bytes(onnx, card, device=device, count=count // 2),
        pixels_to_cpu=pixel_difference(onnx, card, device=device, blocks=20),
    )


def _served_rate(
    onnx: bytes, card: DecoderCard, *, device: str, count: int
) -> tuple[float, float | None]:
    """Images per second of a `zip` job over HTTP, and the share of samples in which the GPU was idle."""
    workers = 1 if device == "cuda" else cores()
    with served(onnx, card, workers=workers, device=device) as stack, Client(stack.url) as client:
        completed(client, card, 1, "zip", seed=0)
        with _utilisation(device) as samples:
            job = completed(client, card, count, "zip", seed=1)
    return count / seconds_of(job), 1 - mean(samples) if samples else None


@contextmanager
def _utilisation(device: str) -> Iterator[list[float]]:
    """Shares of busy time, sampled while the block runs; none on a CPU. Not yet run on a GPU."""
    samples: list[float] = []
    if device == "cpu":
        yield samples
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    command = [*query, "-i", "0", f"--loop-ms={_SAMPLE_MS}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sampler:
        lines = sampler.stdout
        assert lines is not None
        reader = threading.Thread(
            target=lambda: samples.extend(float(line) / 100 for line in lines)
        )
        reader.start()
        try:
            yield samples
        finally:
            sampler.terminate()
            reader.join()


def table(found: GpuFigures) -> str:
    """For people."""
    note = f", {found.note}" if found.note else ""
    lines = [f"{found.machine}", f"provider: {found.provider}{note}", ""]
    for size, rates in found.bare.items():
        lines += [f"bare, batch {size:5d}, {way:26s}{rate:14,.0f}/s" for way, rate in rates.items()]
    lines += [
        f"{'made here, zip':45s}{found.made_here.images_per_s:14,.0f}/s",
        f"{'served, zip':45s}{found.served_images_per_s:14,.0f}/s  ({found.served_to_bare:.2f} of a bare thread)",
    ]
    shares = found.waiting.model_dump().items()
    lines += [
        f"device waits, {name:31s}{'no GPU' if share is None else format(share, '.1%'):>14s}"
        for name, share in shares
    ]
    lines += [
        f"same bytes, {name:33s}{'yes' if same else 'NO':>14s}"
        for name, same in found.same_bytes.items()
    ]
    pixels = found.pixels_to_cpu
    lines.append(
        f"to the CPU's pixels: {pixels.most_levels} levels at most, {pixels.share:.4%} of values differ "
        f"({pixels.images:,} images)"
    )
    return "\n".join(lines)


def main() -> None:
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--decoder", type=Path, default=Path("deploy/decoders/mnist"))
    parser.add_argument("--count", type=int, default=400_000, help="images of the served job")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each bare measurement")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    onnx, card = load_folder(asked.decoder)
    try:
        found = measured(onnx, card, device=asked.device, count=asked.count, seconds=asked.seconds)
    except StartRefused as error:
        sys.exit(error.detail)
    print(table(found))
    if asked.json:
        asked.json.write_text(found.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main()
