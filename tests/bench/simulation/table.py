"""Results as rows of Markdown, the same on the terminal and in deploy/SCALE.md."""

from collections.abc import Iterable, Mapping

from tests.bench.simulation.run import Result

HEAD = ("GPU", "cores", "network", "bucket", "Redis")
FLEET_HEAD = (
    "| GPU workers | million images/s | of ideal | stored after | finished after |"
    f" {' | '.join(HEAD)} | wall |"
)
SETTING_HEAD = "| setting | million images/s | of ideal | GPU | bucket | Redis | wall |"


def fleet_row(result: Result) -> str:
    cells = [
        f"{result.workers:,}",
        f"{result.images_per_s / 1e6:.1f}",
        f"{result.of_ideal:.0%}" if result.of_ideal >= 0.095 else f"{result.of_ideal:.1%}",
        f"{result.stored_s:.0f} s",
        f"{result.stored_s + result.end_s:.0f} s",
        *(f"{result.busy[name]:.0%}" for name in HEAD),
        result.wall,
    ]
    return f"| {' | '.join(cells)} |"


def fleet_table(results: Iterable[Result]) -> str:
    return "\n".join([FLEET_HEAD, _rule(FLEET_HEAD), *map(fleet_row, results)])


def setting_row(name: str, result: Result) -> str:
    cells = [
        name,
        f"{result.images_per_s / 1e6:.1f}",
        f"{result.of_ideal:.0%}",
        *(f"{result.busy[resource]:.0%}" for resource in ("GPU", "bucket", "Redis")),
        result.wall,
    ]
    return f"| {' | '.join(cells)} |"


def setting_table(results: Mapping[str, Result]) -> str:
    rows = [setting_row(name, result) for name, result in results.items()]
    return "\n".join([SETTING_HEAD, _rule(SETTING_HEAD), *rows])


def decoder_table(results: Mapping[str, list[Result]]) -> str:
    head = "| a GPU decodes, million/s | 1 worker | 10 workers | 100 workers |"
    rows = [
        f"| {rate} | "
        + " | ".join(f"{r.images_per_s / 1e6:.1f} ({r.of_ideal:.0%}, {r.wall})" for r in row)
        + " |"
        for rate, row in results.items()
    ]
    return "\n".join([head, _rule(head), *rows])


def _rule(head: str) -> str:
    return "|---" + "|---:" * (head.count("|") - 2) + "|"
