"""Curves over eps, and precision against recall, as small pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .measure import Measured

_COLOURS = {
    "block5": "#1f77b4",
    "block5_max": "#17becf",
    "fc1": "#9467bd",
    "fc2": "#e377c2",
    "pHash": "#ff7f0e",
    "dHash": "#8c564b",
    "fastdup": "#2ca02c",
    "imagededup CNN": "#bcbd22",
}


def draw(title: str, layers: Mapping[str, Measured], others: Mapping[str, Measured], file: Path) -> None:
    """Draw one set: on the left the first layer over eps, on the right everything as recall and precision.

    Args:
        title: the set
        layers, others: what was measured, by name
        file: the PNG to write
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    over_eps, plane = figure.subplots(1, 2)
    name, measured = next(iter(layers.items()))
    _over_eps(over_eps, measured)
    over_eps.set_title(f"{title}: {name} over eps", fontsize=10)
    for name, measured in ({**layers, **others}).items():
        _in_plane(plane, name, measured, marked=name in layers)
    plane.set(
        xlabel="recall of near-duplicate pairs",
        ylabel="precision of joined pairs",
        xlim=(-0.02, 1.02),
        ylim=(0, 1.03),
    )
    plane.set_title("every threshold; dots: suggested eps", fontsize=10)
    plane.legend(fontsize=8, loc="lower left")
    file.parent.mkdir(parents=True, exist_ok=True)
    # Without the library's version in it, so that the same figures give the same file.
    figure.savefig(file, dpi=90, metadata={"Software": None})


def _over_eps(axes: Axes, measured: Measured) -> None:
    eps = np.array([outcome.eps for outcome in measured.outcomes])
    columns = {
        "precision": [outcome.precision for outcome in measured.outcomes],
        "recall": [outcome.recall for outcome in measured.outcomes],
        "share kept": [outcome.kept / len(measured.pictures) for outcome in measured.outcomes],
    }
    for (label, values), colour in zip(columns.items(), ("#2ca02c", "#1f77b4", "#7f7f7f"), strict=True):
        axes.step(eps, values, where="post", label=label, color=colour)
    if measured.clear:
        axes.axvline(measured.chosen.eps, color="black", linestyle="--", linewidth=1, label="suggested")
    axes.set(xscale="log", xlabel="eps (cosine distance)", ylim=(0, 1.03))
    axes.legend(fontsize=8, loc="center left")
    axes.grid(alpha=0.3)


def _in_plane(axes: Axes, name: str, measured: Measured, marked: bool) -> None:
    recall = [outcome.recall for outcome in measured.outcomes]
    precision = [outcome.precision for outcome in measured.outcomes]
    style = "-" if marked else ":"
    axes.plot(recall, precision, style, label=name, color=_COLOURS.get(name), linewidth=1.3)
    if marked:
        axes.plot(
            measured.chosen.recall, measured.chosen.precision, "o", color=_COLOURS.get(name), markersize=6
        )
    axes.grid(alpha=0.3)
