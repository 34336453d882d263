"""How the panel looks, from top to bottom: what to look at, the numbers, the steps, the threshold, the clusters."""

from typing import Any

import fiftyone.operators.types as types

from ...similarity.result import percent
from ...similarity.steps.overview import Overview
from ...similarity.steps.states import DONE, MISSING, READY, STALE
from ...similarity.workflow import STEPS
from . import clusters as panel_clusters
from . import parts
from . import threshold as panel_threshold
from .state import Shown

_COLORS = {DONE: "success", STALE: "warning", MISSING: "default", READY: "info"}
_STEPS = {step.operator: step for step in STEPS}


def draw(shown: Shown) -> types.Property:
    """Everything, for the state that a person has brought the panel to."""
    if shown.found.problem:
        return nothing(shown.found.problem)
    panel = types.Object()
    _choices(panel, shown)
    _numbers(panel, shown)
    _steps(panel, shown)
    panel_threshold.draw(panel, shown)
    panel_clusters.draw(panel, shown)
    return _page(panel)


def _page(panel: types.Object) -> types.Property:
    """The panel's one column, with room around it."""
    style = {"gridTemplateColumns": "minmax(0, 1fr)", "padding": "16px", "maxWidth": "1200px"}
    return types.Property(panel, view=types.VStackView(gap=2, **parts.styled(grid=style)))


def nothing(words: str) -> types.Property:
    """Say what to do first."""
    panel = types.Object()
    parts.text(panel, "empty_title", "Nothing to compare here yet", bold=True, size="1rem")
    parts.text(panel, "empty", words, color="text.secondary")
    return _page(panel)


def _choices(panel: types.Object, shown: Shown) -> None:
    events, found = shown.events, shown.found
    line = parts.row(panel, "choices", gap=2, align_y="bottom")
    keys, fields = found.run_keys or [found.run_key], found.fields or [found.embeddings_field]
    _dropdown(line, "run", "Run", keys, found.run_key, events.on_run)
    _dropdown(line, "field", "Vectors", fields, found.embeddings_field, events.on_field)
    parts.button(line, "refresh", "Refresh", events.refresh, icon="refresh")


def _dropdown(line: types.Object, name: str, label: str, values: list[str], value: str, event: Any) -> None:
    view = types.DropdownView(**parts.styled(container={"minWidth": "150px"}))
    line.enum(name, values, label=label, default=value, view=view, on_change=event)


def _numbers(panel: types.Object, shown: Shown) -> None:
    found, price = shown.found, shown.state.price
    if found.clustered is None:
        return
    section = parts.card(panel, "numbers", f"Result of {found.run_key!r}", _caption(found))
    tiles = parts.row(section, "tiles", gap=2, align_y="top")
    counts = found.counts
    samples = counts.samples if counts else found.clustered
    kept = counts.kept if counts else found.clusters + found.noise
    parts.tile(tiles, "samples", "Samples", f"{samples:,}")
    parts.tile(tiles, "kept", "Kept" if counts else "Would keep", f"{kept:,}")
    if counts:
        removed = f"{counts.removed:,} removed" if counts.removed else ""
        parts.tile(tiles, "dropped", "Dropped", f"{counts.dropped:,}", removed)
        parts.tile(tiles, "skipped", "Skipped", f"{counts.skipped:,}")
    parts.tile(tiles, "annotate", "To annotate", percent(kept, samples))
    if price:
        parts.tile(tiles, "saved", "Saved", f"{(samples - kept) * price:,.2f}")
    for number, words in enumerate(found.warnings):
        section.view(f"warning_{number}", types.Warning(label=words))
    for number, words in enumerate(found.notes):
        section.view(f"note_{number}", types.Notice(label=words))
    _below(section, shown)


def _caption(found: Overview) -> str:
    if found.counts is None:
        return "Clustered; nothing is chosen yet. Keep first per cluster decides what stays."
    return "Kept, dropped and skipped together are the samples."


def _below(section: types.Object, shown: Shown) -> None:
    events = shown.events
    line = parts.row(section, "below", gap=1, align_y="bottom")
    field = types.FieldView(**parts.styled(container={"width": "130px"}))
    price = shown.state.price
    line.float(
        "price", min=0, label="Price per picture", default=price, view=field, on_change=events.on_price
    )
    words = (("kept", "Show kept"), ("duplicates", "Show dropped"), ("clusters", "Show clusters"))
    for word, label in words if shown.found.counts else words[2:]:
        parts.button(line, word, label, events.show_saved_view, params={"word": word})
    if shown.found.counts and shown.found.counts.removed:
        restoring = {"operator": "restore_removed"}
        parts.button(line, "restore", "Restore removed", events.open_operator, params=restoring)


def _steps(panel: types.Object, shown: Shown) -> None:
    events, found = shown.events, shown.found
    section = parts.card(panel, "steps", "Steps", "In this order; each can be run again at any time.")
    to_do = [
        s.operator for s in found.steps if s.state in (MISSING, STALE) and not _STEPS[s.operator].optional
    ]
    for number, step in enumerate(found.steps, 1):
        line = parts.row(section, step.operator, gap=1.5)
        parts.button(
            line,
            "open",
            f"{number}. {_STEPS[step.operator].label}",
            events.open_operator,
            main=step.operator == next(iter(to_do), None),
            params={"operator": step.operator},
        )
        parts.badge(line, "state", step.state.capitalize(), _COLORS[step.state])
        parts.text(line, "words", step.text, color="text.secondary")
