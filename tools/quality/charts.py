"""Recall and mixed clusters of every set over eps, as one small picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .measure import MARGIN, Measured

_POINTS = 120


def draw(measured: Mapping[str, Measured], file: Path) -> None:
    """Draw both curves of every set.

    Args:
        measured: title of a set -> one way to tell pictures apart, with the same threshold everywhere
        file: the PNG to write
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    recall, mixed = figure.subplots(1, 2)
    eps = next(iter(measured.values())).eps
    grid = np.geomspace(eps / 4, eps * 4, _POINTS)
    for title, found in measured.items():
        outcomes = [found.at(value) for value in grid.tolist()]
        if any(outcome.recall for outcome in outcomes):
            recall.plot(grid, [outcome.recall for outcome in outcomes], label=title)
        mixed.plot(grid, [outcome.mixed for outcome in outcomes], label=title)
    for axes, name in ((recall, "recall of near-duplicate pairs"), (mixed, "mixed clusters")):
        axes.axvspan(eps, MARGIN * eps, color="black", alpha=0.2)
        axes.set(
            xscale="log", xlabel="eps (cosine distance); grey: the threshold and a tenth above", title=name
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Without the library's version in it, so that the same figures give the same file.
    figure.savefig(file, dpi=80, metadata={"Software": None})
