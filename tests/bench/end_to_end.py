"""From accepted to completed over HTTP, by format, with the bare decoder measured before and after each."""

from latentmill import Client

from service.contract.card import DecoderCard
from service.contract.recipe import Format
from tests.bench.bare import bare_rates
from tests.bench.served import completed, seconds_of, served


def end_to_end(
    onnx: bytes,
    card: DecoderCard,
    *,
    count: int,
    formats: tuple[str, ...] = tuple(Format),
    runs: int = 2,
) -> dict[str, dict[str, float]]:
    """By format: images per second of the best run, the bare decoder's beside it, and their ratio."""
    found: dict[str, dict[str, float]] = {}
    for format in formats:
        before = max(bare_rates(onnx, card, seconds=2).values())
        rate, size = _served_rate(onnx, card, count=count, format=format, runs=runs)
        bare = max(before, *bare_rates(onnx, card, seconds=2).values())
        found[format] = {"images_per_s": rate, "bare": bare, "ratio": rate / bare, "bytes": size}
    return found


def _served_rate(
    onnx: bytes, card: DecoderCard, *, count: int, format: str, runs: int
) -> tuple[float, float]:
    with served(onnx, card) as stack, Client(stack.url) as client:
        completed(client, card, 1, format, seed=0)
        jobs = [completed(client, card, count, format, seed=1 + run) for run in range(runs)]
        size = client.manifest(jobs[0]).size_bytes / count
    return max(count / seconds_of(job) for job in jobs), size
