"""The report as one page of HTML that needs nothing beside itself."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from ..result import count, percent
from .manifest import KEPT, Row
from .targets import size
from .thumbnails import thumbnails

SHOWN = 9  # pictures of a cluster: one line of the page

_BINS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 1000), (1001, None))
_KEPT_COLOUR, _DROPPED_COLOUR, _INK = "#0f766e", "#d6d3d1", "#44403c"
_TEMPLATES = Path(__file__).parent


def page(figures: Mapping[str, Any], members: Mapping[int, Sequence[Row]]) -> str:
    """The page.

    Args:
        figures: what :func:`~similarity.exports.report.figures` returns
        members: the samples of the clusters that it shows, in the order to show them
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "size": size,
        "share": percent,
        "number": _number,
        "similarity": _similarity,
        "money": _money,
        "name": _name,
    }
    shown = {number: rows[:SHOWN] for number, rows in members.items()}
    return environment.get_template("report.html.jinja").render(
        r=figures,
        members=shown,
        pictures=thumbnails(_paths(figures, shown)),
        chart=Markup(_chart(figures["cluster_sizes"])),  # our own drawing, of numbers alone
        KEPT=KEPT,
    )


def _paths(figures: Mapping[str, Any], members: Mapping[int, Sequence[Row]]) -> list[str]:
    pairs = [path for pair in figures["worst_pairs"] for path in (pair["filepath"], pair["kept_filepath"])]
    return [row.filepath for rows in members.values() for row in rows] + pairs


def _number(value: float) -> str:
    return f"{value:,}"


def _similarity(value: float) -> str:
    return f"{value:.2f} %"


def _money(value: float, currency: str) -> str:
    return f"{value:,.2f} {currency}"


def _name(path: str) -> str:
    return Path(path).name


def _chart(sizes: Sequence[Mapping[str, int]]) -> str:
    """How many samples clusters of each size hold, kept and dropped, as SVG.

    Matplotlib, which FiftyOne brings: its SVG is 20 kB and prints; plotly's page would carry 4 MB of scripts.
    """
    bins = _binned(sizes)
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "onlyone", "font.family": "sans-serif"}
    ):
        figure = Figure(figsize=(9, 0.8 + 0.34 * len(bins)), layout="constrained")
        axes = figure.subplots()
        _draw(axes, bins)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = drawing.getvalue()
    return svg[svg.index("<svg") :]


def _binned(sizes: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    bins = []
    for low, high in _BINS:
        inside = [s for s in sizes if low <= s["size"] and (high is None or s["size"] <= high)]
        if inside:
            kept = sum(s["kept"] for s in inside)
            samples = sum(s["size"] * s["clusters"] for s in inside)
            clusters = sum(s["clusters"] for s in inside)
            bins.append(
                {"label": _label(low, high), "kept": kept, "dropped": samples - kept, "clusters": clusters}
            )
    return bins


def _label(low: int, high: int | None) -> str:
    if high is None:
        return f"more than {low - 1:,}"
    if low == 1:
        return "unique"
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _draw(axes: Any, bins: Sequence[Mapping[str, Any]]) -> None:
    rows = range(len(bins))
    kept = [b["kept"] for b in bins]
    totals = [b["kept"] + b["dropped"] for b in bins]
    axes.barh(rows, totals, color=_DROPPED_COLOUR, height=0.7, label="left out")
    axes.barh(rows, kept, color=_KEPT_COLOUR, height=0.7, label="kept")
    longest = max(totals, default=1)
    for row, (bin_, total) in enumerate(zip(bins, totals, strict=True)):
        where = "" if bin_["label"] == "unique" else f" in {count(bin_['clusters'], 'cluster')}"
        words = f"{bin_['kept']:,} of {count(total, 'picture')}{where}"
        axes.text(total + longest / 100, row, words, va="center", fontsize=9, color=_INK)
    axes.set_yticks(rows, [b["label"] for b in bins])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.45 * longest)
    axes.set_xticks([])
    # Over the chart, lying: beside it, standing, it would be longer than a chart of one or two bars is high.
    axes.set_title("pictures in a cluster", loc="left", fontsize=10, color=_INK)
    axes.tick_params(length=0, colors=_INK)
    for side in axes.spines.values():
        side.set_visible(False)
