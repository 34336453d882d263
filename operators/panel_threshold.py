"""The panel's section about the threshold: the curve, the slider below it, and the pairs that it decides about."""

from typing import Any

import fiftyone.operators.types as types
import numpy as np

from ..similarity.result import count, percent
from ..similarity.steps.sweep import Merge, SweepResult
from . import panel_parts as parts
from .panel_state import Scale, Shown

_CHOSEN, _SUGGESTED, _RUN = "#ff6d04", "#8f8f8f", "#3fa7d6"
_LEFT, _RIGHT = 52, 16  # pixels beside the curve; the slider is as wide as the curve
_POINTS = 240


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
    marks = [("suggested", swept.eps, _SUGGESTED, "dot")]
    if found.eps is not None and found.run_field == swept.embeddings_field:
        marks.append((f"run {found.run_key}", found.eps, _RUN, "dash"))
    marks.append(("chosen", shown.eps, _CHOSEN, "solid"))
    section.plot(
        "curve",
        data=_traces(swept, marks),
        layout=_layout(swept),
        config={"displayModeBar": False, "scrollZoom": False},
        on_click=shown.events.on_point,
        height="260px",
        componentsProps={"plotly": {"useResizeHandler": True}},
    )


def _traces(swept: SweepResult, marks: list[tuple[str, float, str, str]]) -> list[dict[str, Any]]:
    """Kept over eps as a step function, close enough to be clicked anywhere; and an upright line for each mark."""
    curve = swept.curve()
    scale = Scale.of(curve)
    grid = np.geomspace(scale.low, scale.high, _POINTS)
    steps = [threshold.eps for threshold in curve if scale.low < threshold.eps < scale.high]
    eps = np.unique(np.concatenate([grid, steps])).tolist()
    similar = swept.metric == "cosine"
    line = {
        "type": "scatter",
        "mode": "lines",
        "line": {"shape": "hv", "width": 2, "color": _CHOSEN},
        "name": "kept",
        "showlegend": False,
        "x": eps,
        "y": [swept.at(value).kept for value in eps],
        "text": [f" ({100 * (1 - value):.2f} % similar)" if similar else "" for value in eps],
        "hovertemplate": "eps %{x:.4g}%{text}<br>keeps %{y:,}<extra></extra>",
    }
    top = max(line["y"])
    return [line, *(_mark(name, scale.clip(at), top, color, dash) for name, at, color, dash in marks)]


def _mark(name: str, eps: float, top: int, color: str, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": {"dash": dash, "width": 1.5, "color": color},
        "hoverinfo": "skip",
        "x": [eps, eps],
        "y": [0, top * 1.04],
    }


def _layout(swept: SweepResult) -> dict[str, Any]:
    scale = Scale.of(swept.curve())
    clear = "rgba(0,0,0,0)"
    ends = [float(np.log10(scale.low)), float(np.log10(scale.high))]
    return {
        "xaxis": {
            "type": "log",
            "range": ends,
            "title": {"text": f"eps ({swept.metric} distance)"},
            "automargin": False,
        }
        | {"fixedrange": True, "nticks": 8, "tickfont": {"size": 12}, "showgrid": False},
        "yaxis": {
            "title": {"text": "samples kept"},
            "rangemode": "tozero",
            "automargin": False,
            "fixedrange": True,
        }
        | {"tickfont": {"size": 12}, "nticks": 6},
        "margin": {"l": _LEFT, "r": _RIGHT, "t": 28, "b": 44},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.14, "bgcolor": clear, "font": {"size": 12}},
        "hovermode": "x",
        "hoverdistance": -1,
        "paper_bgcolor": clear,
        "plot_bgcolor": clear,
        "font": {"size": 12},
    }


def _slider(section: types.Object, shown: Shown) -> None:
    scale = Scale.of(shown.swept.curve())
    # The slider's thumb stands below the curve's line: FiftyOne pads it by 16 and 32 pixels, which is taken back here.
    box = {
        "marginTop": "-32px",
        "marginBottom": "-32px",
        "marginLeft": f"{_LEFT - 16}px",
        "marginRight": f"{_RIGHT - 16}px",
    }
    section.float(
        "slider",
        default=scale.place(shown.eps),
        min=0,
        max=100,
        view=types.SliderView(
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
    which = "Suggested" if shown.state.eps is None else "Chosen"
    parts.text(
        words,
        "at",
        f"{which}: eps {eps:.4g}{_similar(swept, eps)} keeps {row.kept:,} of {swept.samples:,} "
        f"({percent(row.kept, swept.samples)})",
        bold=True,
        size="1rem",
    )
    parts.text(
        words,
        "groups",
        f"{count(row.clusters, 'cluster')}, the largest of {count(row.largest, 'sample')}; "
        f"{count(row.noise, 'sample')} unlike any other.",
    )
    unsure = "" if swept.eps_clear else "No clear gap: look at the pairs below before you decide. "
    reason = f"{unsure}Suggested: {swept.eps:.4g}, {swept.eps_reason}."
    parts.text(words, "reason", reason, color="text.secondary")


def _similar(swept: SweepResult, eps: float) -> str:
    return f" ({100 * (1 - eps):.2f} % similar)" if swept.metric == "cosine" else ""


def _choose(section: types.Object, shown: Shown) -> None:
    events = shown.events
    line = parts.row(section, "choose", align_y="bottom")
    field = types.LazyFieldView(
        placeholder="200 or 10 %", save_on_blur=True, **parts.styled(container={"width": "150px"})
    )
    line.str("target", label="Keep about", view=field, on_change=events.on_target)
    parts.button(line, "cluster", f"Cluster with eps {shown.eps:.4g}", events.cluster, main=True)
    if shown.state.eps is not None:
        parts.button(line, "suggestion", "Back to the suggestion", events.use_suggestion)


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
