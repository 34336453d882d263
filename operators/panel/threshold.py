"""The panel's tab about the threshold: the curve, the slider below it, and the pairs that it decides about."""

from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.data.files import files
from ...similarity.engine.certificate import ALARMING_SHARE
from ...similarity.result import count, percent
from ...similarity.steps.sweep import SweepResult
from . import charts, pairs, parts
from .state import State

_MOST_MIN_SAMPLES = 2  # of a sweep, as the engine checks it


def draw(panel: types.Object, events: Any, state: State, dataset: fo.Dataset) -> None:
    """Draw the tab."""
    caption = "Further right, less similar samples count as near-duplicates."
    if state.found.limits:
        limits = ", ".join(f"{name} {value}" for name, value in state.found.limits.items())
        caption += f" All samples are compared here, while the run has {limits}: it joins fewer."
    section, found = parts.card(panel, "threshold", "Threshold", caption), state.found
    if not found.vectors:
        parts.text(section, "empty", "Compute embeddings first; then every threshold can be looked at.")
    elif found.min_samples > _MOST_MIN_SAMPLES:
        words = f"Thresholds are compared for min_samples 1 and 2; this run was clustered with {found.min_samples}."
        parts.text(section, "empty", words, color="text.secondary")
    elif state.swept is None:
        compared = f"{count(found.vectors, 'sample')} are compared once"
        words = f"{compared}; then the threshold can be moved freely."
        parts.text(section, "empty", words, color="text.secondary")
        line = parts.row(section, "offer")
        parts.button(line, "sweep", "Look at every threshold", events.sweep, main=True, icon="show_chart")
    else:
        _curve(section, events, state)
        _slider(section, events, state)
        _words(section, state)
        _choose(section, events, state)
        _examples(section, events, state.swept, state.eps, dataset)


def _curve(section: types.Object, events: Any, state: State) -> None:
    found, swept = state.found, state.swept
    marks = [] if swept.eps is None else [("measured", swept.eps, charts.MEASURED, "dot")]
    if found.eps is not None and found.run_field == swept.embeddings_field:
        marks.append(("this run", found.eps, charts.RUN, "dash"))
    marks.append(("chosen", state.eps, charts.CHOSEN, "solid"))
    charts.curve(section, swept, state.scale, marks, events.on_point)


def _slider(section: types.Object, events: Any, state: State) -> None:
    # An input of the kind "range" reports while it is dragged, FiftyOne's SliderView when it is let go only. Its thumb of 16
    # pixels stands below the chosen line.
    look = {
        "marginTop": "-12px",
        "paddingLeft": f"{charts.LEFT - 8}px",
        "paddingRight": f"{charts.RIGHT - 8}px",
        "& fieldset": {"border": 0},
        "& input": {
            "padding": "0 !important",
            "height": "20px",
            "accentColor": charts.CHOSEN,
            "cursor": "pointer",
        },
    }
    field = {"type": "range", "sx": look, "inputProps": {"step": 0.25, "aria-label": "Threshold"}}
    section.float(
        f"slider_{state.moves}",  # a new one after each move: a slider keeps the place that it was first drawn at
        default=state.scale.place(state.eps),
        min=0,
        max=100,
        view=types.FieldView(componentsProps={"field": field}),
        on_change=events.on_slider,
    )


def _words(section: types.Object, state: State) -> None:
    """Add one sentence, and a warning where the threshold joins too much."""
    swept, eps = state.swept, state.eps
    row = swept.at(eps)
    measured = state.chosen is None and swept.eps is not None
    at = f"At {charts.similar(eps, swept.metric)}{', as measured for these vectors' if measured else ''}"
    kept = f"{row.kept:,} of {count(swept.samples, 'sample')} are kept ({percent(row.kept, swept.samples)})"
    more = "or a few more" if row.kept_with_cover is None else f"or {row.kept_with_cover:,}"
    kept += f", {more} with cover"
    groups = f"{count(row.clusters, 'cluster')}, the largest of {row.largest:,}, and {row.noise:,} unlike any other"
    parts.text(section, "words", f"{at}, {kept}: {groups}.")
    if row.largest > ALARMING_SHARE * swept.samples:
        share = percent(row.largest, swept.samples)
        words = f"One cluster would hold {share} of the samples. If the pairs below differ, move to the left."
        section.view("giant", types.Warning(label=words))
    if swept.eps is None:
        words = "No threshold was measured for these vectors: look at the pairs below before you decide."
        parts.text(section, "unknown", words, color="text.secondary")


def _choose(section: types.Object, events: Any, state: State) -> None:
    line = parts.row(section, "choose", align_y="bottom")
    view = types.TextFieldView(placeholder="200 or 10 %", **parts.styled(container={"width": "150px"}))
    line.str("target", label="Keep about", view=view, on_change=events.on_target)
    at = charts.similar(state.eps, state.swept.metric).removesuffix(" similar")
    parts.button(line, "cluster", f"Cluster and keep at {at}", events.cluster_and_keep, main=True)
    if not state.swept.covered():  # the sweep is another step's
        parts.button(line, "cover", "Count with cover", events.sweep)
    if state.chosen is not None and state.swept.eps is not None:
        parts.button(line, "measured", "Back to the measured threshold", events.use_measured)
    if state.problem:
        parts.text(section, "problem", state.problem, color="error.main")


def _examples(
    section: types.Object, events: Any, swept: SweepResult, eps: float, dataset: fo.Dataset
) -> None:
    under, over = swept.just_under(eps), swept.just_over(eps)
    paths = files(dataset, [i for merge in (*under, *over) for i in (merge.id, merge.other_id)])
    for name, title, merges in (
        ("under", "Joined: the least similar neighbors within this threshold", under),
        ("over", "Kept apart: the most similar samples beyond it", over),
    ):
        if merges:
            block = parts.column(section, name, gap=1)
            parts.text(block, "title", title, bold=True)
            shown = [
                (m.id, m.other_id, paths.get(m.id), paths.get(m.other_id), f"{m.similarity:.2f} % similar")
                for m in merges
            ]
            pairs.add(block, events, shown, dataset, "170px")
