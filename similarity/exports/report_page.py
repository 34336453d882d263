"""The report as one page of HTML that needs nothing beside itself."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import fiftyone as fo
import jinja2

from ..data.files import unique_names
from ..result import count, percent, resemblance
from .manifest import BY_HAND, KEPT, Row
from .thumbnails import thumbnails

SHOWN = 9  # pictures of a cluster: one line of the page
SHEET, SMALL = 48, 96  # pictures before, and as many after; pixels of their long side

_BINS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 1000), (1001, None))
_TEMPLATES = Path(__file__).parent


def page(
    dataset: fo.Dataset, figures: Mapping[str, Any], rows: Sequence[Row], members: Mapping[int, Sequence[Row]]
) -> str:
    """Return the page.

    Args:
        figures: those of ``report.json``
        rows: all samples; the first ones, and the first kept ones, are the pictures before and after
        members: the samples of the clusters that it shows, in the order to show them
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "share": percent,
        "number": "{:,}".format,
        "similarity": "{:.2f} %".format,
        "resemblance": resemblance,
        "money": "{:,.2f} {}".format,
    }
    shown = {number: found[:SHOWN] for number, found in members.items()}
    before, after = rows[:SHEET], list(islice((row for row in rows if row.status == KEPT), SHEET))
    small = [row.filepath for row in (*before, *after)]
    large = _paths(figures, shown)
    skipped = [path for entry in figures["skipped"] for path in entry["examples"]]
    bars = _bars(figures["cluster_sizes"])
    return environment.get_template("report.html.jinja").render(
        r=figures,
        members=shown,
        sheets={"Before": before, "After": after},
        totals={"Before": figures["counts"]["samples"], "After": figures["counts"][KEPT]},
        names=unique_names(dataset, [*small, *large, *skipped]),
        pictures=thumbnails(large),
        small=thumbnails(small, SMALL),
        bars=bars,
        longest=max((bar["kept"] + bar["dropped"] for bar in bars), default=1),
        KEPT=KEPT,
        BY_HAND=BY_HAND,
    )


def _paths(figures: Mapping[str, Any], members: Mapping[int, Sequence[Row]]) -> list[str]:
    pairs = [*figures["worst_pairs"], *figures["labelled"]["pairs"]]
    paths = [path for pair in pairs for path in (pair["filepath"], pair["kept_filepath"])]
    return [row.filepath for found in members.values() for row in found] + paths


def _bars(sizes: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    """Return the numbers of kept and dropped pictures in clusters of each size, near sizes together."""
    bars = []
    for low, high in _BINS:
        inside = [s for s in sizes if low <= s["size"] and (high is None or s["size"] <= high)]
        if inside:
            kept = sum(s["kept"] for s in inside)
            pictures = sum(s["size"] * s["clusters"] for s in inside)
            where = f" in {count(sum(s['clusters'] for s in inside), 'cluster')}" if low > 1 else ""
            words = f"{kept:,} of {count(pictures, 'picture')}{where}"
            bars.append(
                {"label": _label(low, high), "kept": kept, "dropped": pictures - kept, "words": words}
            )
    return bars


def _label(low: int, high: int | None) -> str:
    if high is None:
        return f"more than {low - 1:,}"
    if low == 1:
        return "unique"
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
