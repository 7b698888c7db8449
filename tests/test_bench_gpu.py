"""The GPU's bench on the CPU provider: its cheap parts find what is known, and it says that no GPU was used."""

import os
import subprocess
import sys

import numpy as np
import pytest

from service.contract.shard import BLOCK
from tests.bench.gpu import GpuFigures, Waiting, table
from tests.bench.making import SHARD_SIZE, Making, making
from tests.bench.passes import BATCH_SIZES, pass_rates, with_batch
from tests.bench.sameness import Pixels, pixel_difference
from tests.fixtures.decoders import tiny_decoder
from workers.decoder import Decoder
from workers.latents import draw_latents


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_another_batch_size_draws_the_same_images(size: int) -> None:
    """So that batch sizes are compared on one decoder."""
    latents = draw_latents(1, 0, BLOCK, 8)
    drawn = Decoder(*with_batch(*tiny_decoder(), size)).decode(latents, "3")
    assert np.array_equal(drawn, Decoder(*tiny_decoder()).decode(latents, "3"))


def test_bare_passes_are_measured_by_batch_and_way() -> None:
    """The card's own batch comes first; a graph is a matter of CUDA."""
    found = pass_rates(*tiny_decoder(batch_size=16), device="cpu", seconds=0.01)
    assert list(found) == [16, *BATCH_SIZES]
    assert all(set(rates) == {"session.run", "I/O binding"} for rates in found.values())
    assert all(rate > 0 for rates in found.values() for rate in rates.values())


def test_the_device_neither_waits_longer_than_it_takes_nor_less_than_nothing() -> None:
    """Two threads around one device; a pass takes a part of the whole."""
    found = making(*tiny_decoder(), device="cpu", count=4 * SHARD_SIZE, threads=2)
    passes = 4 * SHARD_SIZE / 64
    assert 0 < found.pass_s * passes < 4 * SHARD_SIZE / found.images_per_s
    assert 0 < found.waiting < 1


def test_a_device_agrees_with_itself() -> None:
    """Every label in turn, no level apart."""
    found = pixel_difference(*tiny_decoder(), device="cpu", blocks=2)
    assert found == Pixels(images=2 * BLOCK, most_levels=0, share=0)


def test_the_table_says_that_no_gpu_was_used() -> None:
    """Nobody takes a processor's figures for a GPU's."""
    figures = GpuFigures(
        machine="x86_64",
        provider="CPUExecutionProvider",
        note="no GPU was used",
        bare={256: {"session.run": 1e5}},
        made_here=Making(images_per_s=9e4, pass_s=0.001, waiting=0.25),
        served_images_per_s=8e4,
        served_to_bare=0.8,
        waiting=Waiting(made_here=0.25, served=None, nvidia_smi=None),
        same_bytes={"2 worker processes": True, "after kill -9": False},
        pixels_to_cpu=Pixels(images=1024, most_levels=0, share=0),
    )
    told = table(figures)
    assert "provider: CPUExecutionProvider, no GPU was used" in told
    assert [line.split()[-1] for line in told.splitlines() if "same bytes" in line] == ["yes", "NO"]


def test_without_a_gpu_the_bench_says_so_in_one_line() -> None:
    """Asked for CUDA, it does not measure the CPU instead."""
    command = [sys.executable, "-m", "tests.bench.gpu", "--device", "cuda"]
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(
        command, env=hidden, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "LATENTMILL_DEVICE=cuda" in ended.stderr
    assert "Traceback" not in ended.stderr
