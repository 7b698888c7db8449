"""The figures as Markdown tables, as README shows them."""

from typing import Any


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
