"""The panel's sections about the clusters of a run, and about what it left out."""

from typing import Any

import fiftyone.operators.types as types

from ...similarity.steps.overview import BARS, ClusterRow, Overview
from . import charts, parts
from .state import Shown

_COLUMNS = {
    "number": "Cluster",
    "size": "Samples",
    "kept": "Kept one",
    "spread": "Spread",
    "worst": "Worst similarity",
}
_LONGEST = 28


def draw(panel: types.Object, shown: Shown) -> None:
    """Draw the sections."""
    events, found = shown.events, shown.found
    if found.largest:
        section = parts.card(panel, "clusters", "Clusters", _caption(found))
        charts.sizes(section, found.sizes, events.on_bar)
        _table(section, events, found)
    if found.worst:
        _worst(panel, events, found)


def _caption(found: Overview) -> str:
    many = f"the {BARS:,} largest of {found.clusters:,}" if found.clusters > BARS else "all of them"
    return f"Their sizes, {many}. Click a bar, or the eye in a row, to see the cluster in the grid."


def _table(section: types.Object, events: Any, found: Overview) -> None:
    table = types.TableView(
        actions_label=" ",
        componentsProps={
            "table": {"sx": {"minWidth": 0}},
            "tableBodyCell": {"sx": {"fontSize": "0.875rem", "padding": "4px 12px"}},
            "tableHeadCell": {"sx": {"fontSize": "0.8125rem", "padding": "6px 12px"}},
        },
    )
    cells = types.Object()
    for key, label in _COLUMNS.items():
        table.add_column(key, label=label)
        cells.str(key)
    table.add_row_action("show", on_click=events.show_row, icon="visibility", tooltip="Show in grid")
    section.list("largest", cells, view=table, default=[_row(row) for row in found.largest])


def _row(row: ClusterRow) -> dict[str, str]:
    return {
        "number": f"{row.number}",
        "size": f"{row.size:,}",
        "kept": _kept(row),
        "spread": "-" if row.spread is None else f"{row.spread:.4f}",
        "worst": "-" if row.worst_similarity is None else f"{row.worst_similarity:.2f} %",
    }


def _kept(row: ClusterRow) -> str:
    if not row.kept:
        return "-"
    name = row.kept_file or row.kept_id
    short = parts.shortened(name, _LONGEST)
    return short if row.kept == 1 else f"{short} and {row.kept - 1:,} more"


def _worst(panel: types.Object, events: Any, found: Overview) -> None:
    caption = (
        "What was dropped, left, and the kept one that stands for it: the least similar pairs of the run."
    )
    section = parts.card(panel, "worst", "Worst pairs", caption)
    pairs = [(pair.file, pair.kept_file, f"{pair.similarity:.2f} % similar") for pair in found.worst]
    parts.pairs(section, "pairs", pairs)
    line = parts.row(section, "more")
    parts.button(line, "show", "Show the worst in the grid", events.show_saved_view, params={"word": "worst"})
