"""The panel's tab of pairs: dropped samples, beside the kept ones that stand for them."""

from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.steps.overview import Overview
from . import parts


def draw(panel: types.Object, events: Any, found: Overview, dataset: fo.Dataset) -> None:
    """Draw the tab."""
    caption = (
        "Left a dropped sample, right its kept one; the least similar first. Click a picture to open it."
    )
    section = parts.card(panel, "worst", "Worst pairs", caption)
    if not found.worst:
        parts.text(section, "empty", "Nothing was dropped." if found.counts else "Nothing is chosen yet.")
        return
    line = parts.row(section, "more")
    parts.button(line, "show", "Show as groups", events.show_saved_view, params={"word": "worst"})
    shown = [(p.id, p.kept_id, p.file, p.kept_file, f"{p.similarity:.2f} % similar") for p in found.worst]
    add(section, events, shown, dataset)


def add(
    panel: types.Object,
    events: Any,
    shown: list[tuple[str, str, str | None, str | None, str]],
    dataset: fo.Dataset,
    height: str = "auto",
) -> None:
    """Add pairs ``(id, other id, file, other file, words)``, the two of each beside each other."""
    pictures = []
    for left, right, file, other, words in shown:
        ids, both = [left, right], ("Both in grid", events.show_in_grid)
        pictures += [
            parts.Picture(
                file, words, on_click=events.open_sample, params={"id": left, "ids": ids}, act=both
            ),
            parts.Picture(other, "", on_click=events.open_sample, params={"id": right}),
        ]
    parts.pictures(panel, "pairs", pictures, dataset, height=height)
