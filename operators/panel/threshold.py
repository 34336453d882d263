"""The panel's section about the threshold: the curve, the slider below it, and the pairs that it decides about."""

import fiftyone.operators.types as types

from ...similarity.result import count, percent
from ...similarity.steps.sweep import Merge, Threshold
from . import charts, parts
from .state import Scale, Shown, slider


def draw(panel: types.Object, shown: Shown) -> None:
    """Draw the section."""
    caption = (
        "How similar two samples must be to be near-duplicates: further right, less similar ones are joined."
    )
    section = parts.card(panel, "threshold", "Threshold", caption)
    if not shown.found.vectors:
        parts.text(section, "empty", "Compute embeddings first; then every threshold can be looked at.")
    elif shown.swept is None:
        _offer(section, shown)
    else:
        _curve(section, shown)
        _slider(section, shown)
        _words(section, shown)
        _choose(section, shown)
        _examples(section, shown)


def _offer(section: types.Object, shown: Shown) -> None:
    words = (
        f"{count(shown.found.vectors, 'sample')} are compared once; then the threshold can be moved freely."
    )
    parts.text(section, "empty", words, color="text.secondary")
    line = parts.row(section, "offer")
    parts.button(line, "sweep", "Look at every threshold", shown.events.sweep, main=True, icon="show_chart")


def _curve(section: types.Object, shown: Shown) -> None:
    found, swept = shown.found, shown.swept
    marks = [] if swept.eps is None else [("measured", swept.eps, charts.MEASURED, "dot")]
    if found.eps is not None and found.run_field == swept.embeddings_field:
        marks.append((f"run {found.run_key}", found.eps, charts.RUN, "dash"))
    marks.append(("chosen", shown.eps, charts.CHOSEN, "solid"))
    charts.curve(section, swept, marks, shown.events.on_point)


def _slider(section: types.Object, shown: Shown) -> None:
    scale = Scale.of(shown.swept.curve())
    # The slider's thumb stands below the chosen line: FiftyOne pads it by 16 and 32 pixels, which is taken back here.
    box = {
        "marginTop": "-60px",
        "marginLeft": f"{charts.LEFT - 16}px",
        "marginRight": f"{charts.RIGHT - 16}px",
    }
    section.float(
        slider(shown.state.moves),
        default=scale.place(shown.eps),
        min=0,
        max=100,
        view=types.SliderView(
            height="20px",
            value_label_display="off",
            label_position="top",
            componentsProps={
                "container": {"sx": box},
                "slider": {"step": 0.25, "size": "small", "color": "primary", "aria-label": "Threshold"},
            },
        ),
        on_change=shown.events.on_slider,
    )


def _words(section: types.Object, shown: Shown) -> None:
    swept, eps = shown.swept, shown.eps
    row = swept.at(eps)
    words = parts.column(section, "words", gap=0.5)
    which = "Measured" if shown.state.eps is None and swept.eps is not None else "Chosen"
    parts.text(
        words,
        "at",
        f"{which}: eps {eps:.4g}{charts.similar(eps, swept.metric)} keeps {row.kept:,} of {swept.samples:,} "
        f"({percent(row.kept, swept.samples)})",
        bold=True,
        size="1rem",
    )
    parts.text(
        words,
        "groups",
        f"{count(row.clusters, 'cluster')}, the largest of {count(row.largest, 'sample')}; "
        f"{count(row.noise, 'sample')} unlike any other.{_covered(row)}",
    )
    known = (
        "No threshold was measured for these vectors: look at the pairs below before you decide."
        if swept.eps is None
        else f"The threshold measured for these vectors is {swept.eps:.4g}{charts.similar(swept.eps, swept.metric)}."
    )
    parts.text(words, "reason", known, color="text.secondary")


def _covered(row: Threshold) -> str:
    """What cover keeps, where it was counted at this very threshold."""
    return (
        ""
        if row.kept_with_cover is None
        else f" With cover, {count(row.kept_with_cover, 'sample')} are kept."
    )


def _choose(section: types.Object, shown: Shown) -> None:
    events = shown.events
    line = parts.row(section, "choose", align_y="bottom")
    field = types.LazyFieldView(
        placeholder="200 or 10 %", save_on_blur=True, **parts.styled(container={"width": "150px"})
    )
    line.str("target", label="Keep about", view=field, on_change=events.on_target)
    parts.button(line, "cluster", f"Cluster with eps {shown.eps:.4g}", events.cluster, main=True)
    if not shown.swept.covered():  # the sweep is another step's
        parts.button(line, "cover", "Count with cover", events.sweep)
    if shown.state.eps is not None and shown.swept.eps is not None:
        parts.button(line, "measured", "Back to the measured threshold", events.use_measured)


def _examples(section: types.Object, shown: Shown) -> None:
    under, over = shown.swept.just_under(shown.eps), shown.swept.just_over(shown.eps)
    files = shown.files_of([i for merge in (*under, *over) for i in (merge.id, merge.other_id)])
    for name, title, merges in (
        ("under", "Joined: the least similar neighbors within this threshold", under),
        ("over", "Kept apart: the most similar samples beyond it", over),
    ):
        if merges:
            block = parts.column(section, name, gap=1)
            parts.text(block, "title", title, bold=True)
            parts.pairs(block, "pairs", [_pair(merge, files) for merge in merges])


def _pair(merge: Merge, files: dict[str, str]) -> tuple[str | None, str | None, str]:
    return files.get(merge.id), files.get(merge.other_id), f"{merge.similarity:.2f} % similar"
