"""How the panel looks, from top to bottom: what to look at, the numbers, the steps, the threshold, the clusters."""

from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.declare import title
from ...similarity.result import percent, resemblance
from ...similarity.steps.overview import BARS, ClusterRow, Overview
from ...similarity.steps.states import DONE, MISSING, READY, STALE
from ...similarity.workflow import STEPS
from . import charts, parts, threshold
from .state import State

_COLORS = {DONE: "success", STALE: "warning", MISSING: "default", READY: "info"}
_OPTIONAL = [step.operator for step in STEPS if step.optional]
_COLUMNS = {
    "number": "Cluster",
    "size": "Samples",
    "kept": "Kept one",
    "spread": "Spread",
    "worst": "Worst similarity",
}
_LONGEST = 28


def draw(events: Any, state: State, dataset: fo.Dataset) -> types.Property:
    """Everything, for the state that a person has brought the panel to.

    Args:
        events: the panel, whose methods are what buttons call
    """
    found = state.found
    if found.problem:
        return nothing(found.problem)
    panel = types.Object()
    _choices(panel, events, found)
    if found.clustered is not None:
        _numbers(panel, events, state)
    _steps(panel, events, found)
    threshold.draw(panel, events, state, dataset)
    if found.largest:
        _clusters(panel, events, found)
    if found.worst:
        _worst(panel, events, found)
    return _page(panel)


def nothing(words: str) -> types.Property:
    """Say what to do first."""
    panel = types.Object()
    parts.text(panel, "empty_title", "Nothing to compare here yet", bold=True, size="1rem")
    parts.text(panel, "empty", words, color="text.secondary")
    return _page(panel)


def _page(panel: types.Object) -> types.Property:
    """The panel's one column, with room around it."""
    style = {"gridTemplateColumns": "minmax(0, 1fr)", "padding": "16px", "maxWidth": "1200px"}
    return types.Property(panel, view=types.VStackView(gap=2, **parts.styled(grid=style)))


def _choices(panel: types.Object, events: Any, found: Overview) -> None:
    line = parts.row(panel, "choices", gap=2, align_y="bottom")
    view = types.DropdownView(**parts.styled(container={"minWidth": "150px"}))
    for name, label, values, value, event in (
        ("run", "Run", found.run_keys, found.run_key, events.on_run),
        ("field", "Vectors", found.fields, found.embeddings_field, events.on_field),
    ):
        line.enum(name, values or [value], label=label, default=value, view=view, on_change=event)
    if found.run_keys:
        _opening(line, "delete", "Delete run", events, "delete_run", icon="delete_sweep")
    parts.button(line, "refresh", "Refresh", events.refresh, icon="refresh")


def _opening(line: types.Object, name: str, label: str, events: Any, operator: str, **more: Any) -> None:
    """Add a button that opens an operator's form."""
    parts.button(line, name, label, events.open_operator, params={"operator": operator}, **more)


def _numbers(panel: types.Object, events: Any, state: State) -> None:
    found, counts = state.found, state.found.counts
    caption = (
        "Kept, dropped and skipped together are the samples."
        if counts
        else "Clustered; nothing is chosen yet. Keep first per cluster decides what stays."
    )
    if found.reference is not None:
        caption = (
            f"All numbers are of the new samples; {resemblance(found.resembling, found.reference)}. {caption}"
        )
    section = parts.card(panel, "numbers", f"Result of {found.run_key!r}", caption)
    tiles = parts.row(section, "tiles", gap=2, align_y="top")
    samples = counts.samples if counts else found.clustered
    kept = counts.kept if counts else found.unique
    parts.tile(tiles, "samples", "Samples" if found.reference is None else "New samples", f"{samples:,}")
    parts.tile(tiles, "kept", "Kept" if counts else "Would keep", f"{kept:,}")
    if counts:
        removed = f"{counts.removed:,} removed" if counts.removed else ""
        parts.tile(tiles, "dropped", "Dropped", f"{counts.dropped:,}", removed)
        parts.tile(tiles, "skipped", "Skipped", f"{counts.skipped:,}")
    parts.tile(tiles, "annotate", "To annotate", percent(kept, samples))
    if state.price:
        parts.tile(tiles, "saved", "Saved", f"{(samples - kept) * state.price:,.2f}")
    for number, words in enumerate(found.warnings):
        section.view(f"warning_{number}", types.Warning(label=words))
    for number, words in enumerate(found.notes):
        section.view(f"note_{number}", types.Notice(label=words))
    _below(section, events, state)


def _below(section: types.Object, events: Any, state: State) -> None:
    line, counts = parts.row(section, "below", gap=1, align_y="bottom"), state.found.counts
    field = types.FieldView(**parts.styled(container={"width": "130px"}))
    line.float(
        "price", min=0, label="Price per picture", default=state.price, view=field, on_change=events.on_price
    )
    words = (("kept", "Show kept"), ("duplicates", "Show dropped"), ("clusters", "Show clusters"))
    for word, label in words if counts else words[2:]:
        parts.button(line, word, label, events.show_saved_view, params={"word": word})
    if state.found.archived:
        _opening(line, "restore", "Restore removed", events, "restore_removed")


def _steps(panel: types.Object, events: Any, found: Overview) -> None:
    section = parts.card(panel, "steps", "Steps", "In this order; each can be run again at any time.")
    undone = [step.operator for step in found.steps if step.state in (MISSING, STALE)]
    to_do = [operator for operator in undone if operator not in _OPTIONAL]
    for number, step in enumerate(found.steps, 1):
        line = parts.row(section, step.operator, gap=1.5)
        label, is_next = f"{number}. {title(step.operator)}", step.operator in to_do[:1]
        _opening(line, "open", label, events, step.operator, main=is_next)
        parts.badge(line, "state", step.state.capitalize(), _COLORS[step.state])
        parts.text(line, "words", step.text, color="text.secondary")


def _clusters(panel: types.Object, events: Any, found: Overview) -> None:
    many = f"the {BARS:,} largest of {found.clusters:,}" if found.clusters > BARS else "all of them"
    caption = f"Their sizes, {many}. Click a bar, or the eye in a row, to see the cluster in the grid."
    section = parts.card(panel, "clusters", "Clusters", caption)
    charts.sizes(section, found.sizes, events.on_bar)
    cell_style = {"fontSize": "0.875rem", "padding": "4px 12px"}
    head_style = {"fontSize": "0.8125rem", "padding": "6px 12px"}
    table = types.TableView(
        actions_label=" ",
        **parts.styled(table={"minWidth": 0}, tableBodyCell=cell_style, tableHeadCell=head_style),
    )
    cells = types.Object()
    for key, label in _COLUMNS.items():
        table.add_column(key, label=label)
        cells.str(key)
    table.add_row_action("show", on_click=events.show_row, icon="visibility", tooltip="Show in grid")
    section.list("largest", cells, view=table, default=[_row(row) for row in found.largest])


def _row(row: ClusterRow) -> dict[str, str]:
    kept = parts.shortened(row.kept_file or row.kept_id, _LONGEST) if row.kept else "-"
    kept = "in the reference" if row.kept == 0 else kept
    return {
        "number": f"{row.number}",
        "size": f"{row.size:,}",
        "kept": f"{kept} and {row.kept - 1:,} more" if row.kept and row.kept > 1 else kept,
        "spread": "-" if row.spread is None else f"{row.spread:.4f}",
        "worst": "-" if row.worst_similarity is None else f"{row.worst_similarity:.2f} %",
    }


def _worst(panel: types.Object, events: Any, found: Overview) -> None:
    caption = (
        "What was dropped, left, and the kept one that stands for it: the least similar pairs of the run."
    )
    section = parts.card(panel, "worst", "Worst pairs", caption)
    parts.pairs(section, "pairs", [(pair.file, pair.kept_file, pair.similarity) for pair in found.worst])
    line = parts.row(section, "more")
    parts.button(line, "show", "Show the worst in the grid", events.show_saved_view, params={"word": "worst"})
