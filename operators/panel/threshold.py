"""The panel's section about the threshold: the curve, the slider below it, and the pairs that it decides about."""

from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.data.files import files
from ...similarity.result import count, percent
from ...similarity.steps.sweep import SweepResult
from . import charts, parts
from .state import State


def draw(panel: types.Object, events: Any, state: State, dataset: fo.Dataset) -> None:
    """Draw the section."""
    caption = (
        "How similar two samples must be to be near-duplicates: further right, less similar ones are joined."
    )
    if state.found.limits:
        limits = ", ".join(f"{name} {value}" for name, value in state.found.limits.items())
        caption += f" All samples are compared here, while the run has {limits}: it joins fewer."
    section = parts.card(panel, "threshold", "Threshold", caption)
    if not state.found.vectors:
        parts.text(section, "empty", "Compute embeddings first; then every threshold can be looked at.")
    elif state.swept is None:
        compared = f"{count(state.found.vectors, 'sample')} are compared once"
        words = f"{compared}; then the threshold can be moved freely."
        parts.text(section, "empty", words, color="text.secondary")
        line = parts.row(section, "offer")
        parts.button(line, "sweep", "Look at every threshold", events.sweep, main=True, icon="show_chart")
    else:
        _curve(section, events, state)
        _slider(section, events, state)
        _words(section, state.swept, state.eps, state.chosen is None)
        _choose(section, events, state)
        _examples(section, state.swept, state.eps, dataset)


def _curve(section: types.Object, events: Any, state: State) -> None:
    found, swept = state.found, state.swept
    marks = [] if swept.eps is None else [("measured", swept.eps, charts.MEASURED, "dot")]
    if found.eps is not None and found.run_field == swept.embeddings_field:
        marks.append((f"run {found.run_key}", found.eps, charts.RUN, "dash"))
    marks.append(("chosen", state.eps, charts.CHOSEN, "solid"))
    charts.curve(section, swept, state.scale, marks, events.on_point)


def _slider(section: types.Object, events: Any, state: State) -> None:
    # The slider's thumb stands below the chosen line: FiftyOne pads it by 16 and 32 pixels, which is taken back here.
    box = {
        "marginTop": "-60px",
        "marginLeft": f"{charts.LEFT - 16}px",
        "marginRight": f"{charts.RIGHT - 16}px",
    }
    slider = {"step": 0.25, "size": "small", "color": "primary", "aria-label": "Threshold"}
    section.float(
        f"slider_{state.moves}",  # a new one after each move: a slider keeps the place that it was first drawn at
        default=state.scale.place(state.eps),
        min=0,
        max=100,
        view=types.SliderView(
            height="20px",
            value_label_display="off",
            label_position="top",
            componentsProps={"container": {"sx": box}, "slider": slider},
        ),
        on_change=events.on_slider,
    )


def _words(section: types.Object, swept: SweepResult, eps: float, at_measured: bool) -> None:
    row = swept.at(eps)
    words = parts.column(section, "words", gap=0.5)
    which = "Measured" if at_measured and swept.eps is not None else "Chosen"
    share = f"{row.kept:,} of {swept.samples:,} ({percent(row.kept, swept.samples)})"
    at = f"{which}: eps {eps:.4g}{charts.similar(eps, swept.metric)} keeps {share}"
    parts.text(words, "at", at, bold=True, size="1rem")
    groups = (
        f"{count(row.clusters, 'cluster')}, the largest of {count(row.largest, 'sample')}; "
        f"{count(row.noise, 'sample')} unlike any other."
    )
    if row.kept_with_cover is not None:
        groups += f" With cover, {count(row.kept_with_cover, 'sample')} are kept."
    parts.text(words, "groups", groups)
    known = (
        "No threshold was measured for these vectors: look at the pairs below before you decide."
        if swept.eps is None
        else f"The threshold measured for these vectors is {swept.eps:.4g}{charts.similar(swept.eps, swept.metric)}."
    )
    parts.text(words, "reason", known, color="text.secondary")


def _choose(section: types.Object, events: Any, state: State) -> None:
    line = parts.row(section, "choose", align_y="bottom")
    field = types.LazyFieldView(
        placeholder="200 or 10 %", save_on_blur=True, **parts.styled(container={"width": "150px"})
    )
    line.str("target", label="Keep about", view=field, on_change=events.on_target)
    parts.button(line, "cluster", f"Cluster with eps {state.eps:.4g}", events.cluster, main=True)
    if not state.swept.covered():  # the sweep is another step's
        parts.button(line, "cover", "Count with cover", events.sweep)
    if state.chosen is not None and state.swept.eps is not None:
        parts.button(line, "measured", "Back to the measured threshold", events.use_measured)


def _examples(section: types.Object, swept: SweepResult, eps: float, dataset: fo.Dataset) -> None:
    under, over = swept.just_under(eps), swept.just_over(eps)
    paths = files(dataset, [i for merge in (*under, *over) for i in (merge.id, merge.other_id)])
    for name, title, merges in (
        ("under", "Joined: the least similar neighbors within this threshold", under),
        ("over", "Kept apart: the most similar samples beyond it", over),
    ):
        if merges:
            block = parts.column(section, name, gap=1)
            parts.text(block, "title", title, bold=True)
            pairs = [(paths.get(m.id), paths.get(m.other_id), m.similarity) for m in merges]
            parts.pairs(block, "pairs", pairs)
