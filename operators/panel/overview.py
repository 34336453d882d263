"""The panel's look: run and vectors, the step at work, the tabs, and the tabs of the result and the steps."""

from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.declare import title
from ...similarity.result import count, percent, resemblance
from ...similarity.steps.overview import Overview
from ...similarity.steps.states import MISSING, STALE
from ...similarity.workflow import CLUSTER, EMBED, EXPORT, KEEP, STEPS
from .. import rates
from ..words import app_words
from . import clusters, pairs, parts, running, threshold
from . import state as ps
from .state import State

_COLORS = {STALE: "warning"}  # the others as "info": green and grey are hardly read on white
_OPTIONAL = [step.operator for step in STEPS if step.optional]
_FOLLOW = 1_000  # milliseconds between two looks at a step at work


def draw(events: Any, state: State, dataset: fo.Dataset) -> types.Property:
    """Return the panel in the state that a person has brought it to.

    Args:
        events: the panel, whose methods the buttons call
    """
    found = state.found
    if found.problem:
        return nothing(found.problem)
    panel = types.Object()
    _choices(panel, events, found)
    _working(panel, events, state, dataset)
    if state.map:
        panel.view("map_timer", types.TimerView(interval=_FOLLOW, on_interval=events.show_map))
    _tabs(panel, events, state)
    if state.tab == ps.RESULT:
        _result(panel, events, state, dataset)
    elif state.tab == ps.THRESHOLD:
        threshold.draw(panel, events, state, dataset)
    elif state.tab == ps.CLUSTERS:
        clusters.draw(panel, events, state, dataset)
    elif state.tab == ps.PAIRS:
        pairs.draw(panel, events, found, dataset)
    else:
        _steps(panel, events, found)
    return _page(panel)


def nothing(words: str) -> types.Property:
    """Say the first thing to do."""
    panel = types.Object()
    parts.text(panel, "empty_title", "Nothing to compare here yet", bold=True, size="1rem")
    parts.text(panel, "empty", words, color="text.secondary")
    return _page(panel)


def _page(panel: types.Object) -> types.Property:
    """Return the panel's one column, with room around it."""
    style = {"gridTemplateColumns": "minmax(0, 1fr)", "padding": "8px 16px", "maxWidth": "1200px"}
    return types.Property(panel, view=types.VStackView(gap=1.5, **parts.styled(grid=style)))


def _choices(panel: types.Object, events: Any, found: Overview) -> None:
    line = parts.row(panel, "choices", gap=2, align_y="bottom")
    view = types.DropdownView(**parts.styled(container={"minWidth": "130px"}))
    for name, label, values, value, event in (
        ("run", "Run", found.run_keys, found.run_key, events.on_run),
        ("field", "Vectors", found.fields, found.embeddings_field, events.on_field),
    ):
        line.enum(name, values or [value], label=label, default=value, view=view, on_change=event)
    parts.button(line, "refresh", "Refresh", events.refresh, icon="refresh")


def _working(panel: types.Object, events: Any, state: State, dataset: fo.Dataset) -> None:
    """Follow the step at work on the run, whichever tab of a browser started it; say why the last one stopped."""
    found = running.find(dataset, state.run_key)
    if found is None or (found.id == state.seen and found.problem is None):
        return
    section = parts.card(panel, "working", found.label)
    if found.id != state.seen:
        section.view("timer", types.TimerView(interval=_FOLLOW, on_interval=events.follow))
        section.float("bar", default=found.share, view=types.ProgressView())
        line = parts.row(section, "line")
        parts.text(line, "words", found.words)
        parts.button(line, "cancel", "Cancel", events.cancel, icon="stop")
    else:
        section.view("problem", types.Error(label="Stopped", description=found.problem))
        parts.button(parts.row(section, "line"), "close", "Close", events.close_problem)


def _tabs(panel: types.Object, events: Any, state: State) -> None:
    line = parts.row(panel, "tabs", gap=0)
    for tab in (ps.RESULT, ps.THRESHOLD, ps.CLUSTERS, ps.PAIRS, ps.STEPS):
        parts.tab(line, tab, tab == state.tab, events.on_tab)


def _result(panel: types.Object, events: Any, state: State, dataset: fo.Dataset) -> None:
    found, at_work = state.found, running.find(dataset, state.run_key)
    busy = at_work is not None and not at_work.ended
    stale = [step for step in found.steps if step.operator == CLUSTER.operator and step.state == STALE]
    if found.clustered is None or stale:
        _start(panel, events, state, stale[0].text if stale else "", busy)
    if found.clustered is not None:
        _numbers(panel, events, state)


def _start(panel: types.Object, events: Any, state: State, changed: str, busy: bool) -> None:
    """Add the main button, with the number of samples and the time that it takes; disabled while a step is at work."""
    found = state.found
    embedded = next(step for step in found.steps if step.operator == EMBED.operator)
    caption = f"The run {found.run_key!r}: {changed}. " if changed else ""
    caption += "Look at every picture once, group near-duplicates, and keep the best of each group. Nothing is deleted."
    section = parts.card(panel, "start", "Find unique samples", caption)
    words = f"{embedded.text} have their vectors."
    if found.to_embed:
        words += f" {count(found.to_embed, 'picture')} to look at: {rates.estimate(found.to_embed)}."
    parts.text(section, "words", words)
    line = parts.row(section, "line", align_y="bottom")
    if not found.vectors:
        hint = "imagenet, or the path of a file"
        view = types.TextFieldView(placeholder=hint, **parts.styled(container={"width": "240px"}))
        line.str("weights", label="Weights", default=state.weights or "imagenet", view=view)
    parts.button(
        line, "go", "Find unique samples", events.find_unique, main=True, icon="filter_none", disabled=busy
    )
    opening(line, "options", "More options", events, "find_unique_samples", icon="tune")


def opening(line: types.Object, name: str, label: str, events: Any, operator: str, **more: Any) -> None:
    """Add a button that opens an operator's form."""
    parts.button(line, name, label, events.open_operator, params={"operator": operator}, **more)


def _numbers(panel: types.Object, events: Any, state: State) -> None:
    found, counts = state.found, state.found.counts
    caption = "" if counts else "Clustered; nothing is chosen yet. Keep first per cluster decides what stays."
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
        removed = f"{counts.removed:,} in the archive" if counts.removed else ""
        parts.tile(tiles, "dropped", "Dropped", f"{counts.dropped:,}", removed)
        parts.tile(tiles, "skipped", "Skipped", f"{counts.skipped:,}")
    parts.tile(tiles, "annotate", "To annotate", percent(kept, samples))
    if state.price:
        parts.tile(tiles, "saved", "Saved", f"{(samples - kept) * state.price:,.2f}")
    for number, words in enumerate(found.warnings):
        section.view(f"warning_{number}", types.Warning(label=app_words(words)))
    for number, words in enumerate(found.notes):
        parts.text(section, f"note_{number}", app_words(words), color="text.secondary", size="0.8125rem")
    _below(section, events, state)


def _below(section: types.Object, events: Any, state: State) -> None:
    line, counts = parts.row(section, "next"), state.found.counts
    if counts:
        parts.button(line, "review", "Review the clusters", events.review, main=True, icon="fact_check")
        opening(line, "export", "Export", events, EXPORT.operator, icon="file_download")
    else:
        opening(line, "keep", "Keep first per cluster", events, KEEP.operator, main=True)
    if counts and counts.removed:
        opening(line, "restore", "Restore removed", events, "restore_removed", icon="restore")
    line = parts.row(section, "views")
    words = (("kept", "Show kept"), ("duplicates", "Show dropped"), ("clusters", "Show clusters"))
    for word, label in words if counts else words[2:]:
        parts.button(line, word, label, events.show_saved_view, params={"word": word})
    field = types.FieldView(**parts.styled(container={"width": "130px"}))
    parts.row(section, "below").float(
        "price", min=0, label="Price per picture", default=state.price, view=field, on_change=events.on_price
    )


def _steps(panel: types.Object, events: Any, found: Overview) -> None:
    section = parts.card(panel, "steps", "Steps", "In this order; each can be run again at any time.")
    undone = [step.operator for step in found.steps if step.state in (MISSING, STALE)]
    to_do = [operator for operator in undone if operator not in _OPTIONAL]
    for number, step in enumerate(found.steps, 1):
        line = parts.table_row(section, step.operator, "196px 92px minmax(0, 1fr)")
        label, is_next = f"{number}. {title(step.operator)}", step.operator in to_do[:1]
        opening(line, "open", label, events, step.operator, main=is_next)
        parts.badge(line, "state", step.state.capitalize(), _COLORS.get(step.state, "info"))
        parts.text(line, "words", step.text, color="text.secondary")
    if found.run_keys:
        opening(parts.row(section, "end"), "delete", "Delete run", events, "delete_run", icon="delete_sweep")
