"""The panel's tab of pairs: what was dropped, beside what stands for it."""

from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.steps.overview import Overview
from . import parts


def draw(panel: types.Object, events: Any, found: Overview, dataset: fo.Dataset) -> None:
    """Draw the tab."""
    caption = (
        "What was dropped, left, and the kept one that stands for it, the least similar first. Click one to see both in the "
        "grid."
    )
    section = parts.card(panel, "worst", "Worst pairs", caption)
    if not found.worst:
        parts.text(section, "empty", "Nothing was dropped." if found.counts else "Nothing is chosen yet.")
        return
    line = parts.row(section, "more")
    parts.button(line, "show", "Show as groups", events.show_saved_view, params={"word": "worst"})
    shown = [(p.id, p.kept_id, p.file, p.kept_file, f"{p.similarity:.2f} % similar") for p in found.worst]
    add(section, events, "pairs", shown, dataset)


def add(
    panel: types.Object,
    events: Any,
    name: str,
    shown: list[tuple[str, str, str | None, str | None, str]],
    dataset: fo.Dataset,
) -> None:
    """Add pairs ``(id, other id, file, other file, words)``, the two of each beside each other."""
    pictures = []
    for left, right, file, other, words in shown:
        params = {"ids": [left, right]}
        pictures += [
            parts.Picture(file, words, on_click=events.show_in_grid, params=params),
            parts.Picture(other, "", on_click=events.show_in_grid, params=params),
        ]
    parts.pictures(panel, name, pictures, "repeat(2, minmax(0, 1fr))", dataset)
