"""The service and its peers as bars, on the scale of the bare decoder."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

_OURS, _PEERS, _BARE = "#2b6cb0", "#a0aec0", "#1a202c"


def write_plot(found: dict[str, Any], path: Path) -> None:
    """An SVG with a panel per decoder; date and machine stand below."""
    # The same figures give the same file: no times and no drawn ids in it.
    mpl.rcParams["svg.hashsalt"] = "latentmill"
    decoders = found["decoders"]
    figure = Figure(figsize=(8, 3.2 * len(decoders)), layout="constrained")
    panels = figure.subplots(len(decoders), 1, squeeze=False)[:, 0]
    for panel, (name, figures) in zip(panels, decoders.items(), strict=True):
        _panel(panel, name, figures)
    told = found["machine"]
    figure.supxlabel(f"images/s · {told['date']} · {told['cores']} cores, {told['processor']}")
    figure.savefig(path, metadata={"Date": None})


def _panel(panel: Any, name: str, found: dict[str, Any]) -> None:
    bars = [("bare decoder", max(found["bare"].values()), _BARE)]
    bars += [
        (f"Latentmill, {format}", row["images_per_s"], _OURS)
        for format, row in found["end to end"].items()
    ]
    bars += [
        (peer, row["images_per_s"], _PEERS)
        for peer, row in found["peers"].items()
        if "images_per_s" in row
    ]
    names, rates, colours = zip(*reversed(bars), strict=True)
    drawn = panel.barh(names, rates, color=colours)
    panel.bar_label(drawn, labels=[f"{rate:,.0f}" for rate in rates], padding=3)
    panel.set_title(name, loc="left")
    panel.margins(x=0.12)
    panel.spines[["top", "right"]].set_visible(False)
