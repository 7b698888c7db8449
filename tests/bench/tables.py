"""The figures as Markdown tables, as README shows them."""

from pathlib import Path
from typing import Any

#: What stands between these lines of README is written by `--into`.
START, END = "<!-- bench: written by a command, not by hand -->", "<!-- end of bench -->"

_NAMES = {
    "plain_script": "a script: torch, Pillow, `zipfile`",
    "onnxruntime_script": "a script: ONNX Runtime, Pillow, `zipfile`",
    "ray_data": "Ray Data, Pillow, `write_parquet`",
    "bento": "BentoML tasks, Pillow, `zipfile`",
}


def with_tables(readme: str, found: dict[str, Any]) -> str:
    """README with these figures between its two lines."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{summary(found)}\n\n{END}{after}"


def summary(found: dict[str, Any]) -> str:
    """A column of rates and one of ratios for each decoder, then the small jobs of the first."""
    told = found["machine"]
    where = f"{told['date']}, {told['cores']} cores of {told['processor']} ({told['device class']})"
    parts = [
        where + ", 28×28 images, end to end from accepted to completed over HTTP:",
        _speeds(found),
    ]
    first = next(iter(found["decoders"].values()))
    if "small jobs, ms" in first:
        parts.append(_jobs(first))
    return "\n\n".join(parts)


def _speeds(found: dict[str, Any]) -> str:
    columns = {_short(name): _rows(figures) for name, figures in found["decoders"].items()}
    names = list(dict.fromkeys(row for column in columns.values() for row in column))
    head = "| | " + " | ".join(f"{name}, images/s | to bare" for name in columns) + " |"
    lines = [head, "| --- |" + " --- | --- |" * len(columns)]
    for row in names:
        cells = (column.get(row) for column in columns.values())
        shown = (f"{cell[0]:,.0f} | {cell[1]:.2f}" if cell else "– | –" for cell in cells)
        lines.append(f"| {_NAMES.get(row, row)} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _short(folder: str) -> str:
    parts = [part for part in Path(folder).parts if part != "decoder"]
    return f"`{parts[-1]}`"


def _rows(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    bare = max(found["bare"].values())
    rows = {"bare decoder": (bare, 1.0)}
    rows |= {
        f"`{format}`": (row["images_per_s"], row["ratio"])
        for format, row in found["end to end"].items()
    }
    return rows | {
        name: (row["images_per_s"], row["images_per_s"] / bare)
        for name, row in found["peers"].items()
        if "images_per_s" in row
    }


def _jobs(found: dict[str, Any]) -> str:
    jobs, memory = found["small jobs, ms"], found["peak memory, MB"]
    peaks = " and ".join(
        f"{peak:,.0f} MB for {int(count):,} images" for count, peak in memory.items()
    )
    return (
        f"A job of one image takes {jobs['idle p50']:.0f} ms (median) from POST to its outcome when nothing else runs, "
        f"where an empty Celery task takes {jobs['empty task p50']:.1f} ms; beside a job of ten million images "
        f"{jobs['beside bulk p50']:.0f} ms, and {jobs['beside bulk p95']:.0f} ms at the 95th percentile. "
        f"A worker process peaks at {peaks}."
    )


def tables(found: dict[str, Any]) -> str:
    """Everything measured, a section per decoder."""
    head = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    return "\n\n".join([head, *(_decoder(*item) for item in found["decoders"].items())])


def _decoder(name: str, found: dict[str, Any]) -> str:
    parts = [f"## {name}", speed_table(found)]
    parts += [_stages(found), _png(found)]
    for section in ("scaling", "small jobs, ms", "peak memory, MB"):
        if section in found:
            rows = [f"| {key} | {value:,.1f} |" for key, value in found[section].items()]
            parts.append("\n".join([f"| {section} | |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def speed_table(found: dict[str, Any]) -> str:
    """The service and its peers, each against the bare decoder that was measured beside it."""
    bare = max(found["bare"].values())
    rows = [("bare decoder, all cores", bare, 1.0)]
    rows += [
        (f"`{format}`, end to end", row["images_per_s"], row["ratio"])
        for format, row in found["end to end"].items()
    ]
    rows += [
        (name, row["images_per_s"], row["images_per_s"] / bare)
        for name, row in found["peers"].items()
        if "images_per_s" in row
    ]
    lines = [f"| {name} | {rate:,.0f} | {share:.2f} |" for name, rate, share in rows]
    return "\n".join(["| | images/s | to the bare decoder |", "| --- | --- | --- |", *lines])


def _stages(found: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {rate:,.0f} | {1e6 / rate:.2f} |"
        for name, rate in found["stages, one core"].items()
    ]
    head = ["| stage, one core | images/s | µs an image |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows])


def _png(found: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {row['images_per_s_per_core']:,.0f} | {row['bytes_per_image']:.0f} | {row['to_pillow']:.1f} |"
        for name, row in found["PNG, one core"].items()
    ]
    head = ["| PNG | images/s per core | bytes an image | to Pillow |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])
