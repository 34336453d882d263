"""The panel's two charts, as Plotly takes them."""

import math
from typing import Any

import fiftyone.operators.types as types
import numpy as np

from ...similarity.steps.sweep import SweepResult
from .state import Scale

LEFT, RIGHT = 52, 16  # pixels beside a chart
CHOSEN, MEASURED, RUN, KEPT = "#ff6d04", "#8f8f8f", "#3fa7d6", "#9b7ede"
_CLEAR = "rgba(0,0,0,0)"
_POINTS = 240
_MOST_TICKS = 6


def curve(
    panel: types.Object,
    swept: SweepResult,
    scale: Scale,
    marks: list[tuple[str, float, str, str]],
    on_click: Any,
) -> None:
    """Add the number kept over eps, with cover too, and an upright line for each mark ``(name, eps, color, dash)``."""
    kept = _kept(swept, scale)
    top = 1.04 * max(kept["y"])
    lines = [
        _line(name, [scale.clip(eps)] * 2, [0, top], {"dash": dash, "width": 1.5, "color": color})
        for name, eps, color, dash in marks
    ]
    ticks = _ticks(scale)
    across = {
        "type": "log",
        "range": [math.log10(scale.low), math.log10(scale.high)],
        "tickvals": ticks,
        "tickangle": 0,
        "ticktext": [
            similar(tick, swept.metric).replace(" similar", "").replace("distance ", "") for tick in ticks
        ],
    }
    layout = _layout(across, "samples kept", {"t": 42, "b": 22}) | {
        "annotations": [_corner("similarity of neighbors" if swept.metric == "cosine" else "distance")],
        "legend": {
            "orientation": "h",
            "x": 0,
            "entrywidth": 92,
            "y": 1.02,
            "yanchor": "bottom",
            "bgcolor": _CLEAR,
        },
        "showlegend": True,
        "hovermode": "x",
        "hoverdistance": -1,  # a click anywhere is a click on the curve
    }
    _plot(panel, "curve", [kept, *_covered(swept, scale), *lines], layout, "260px", on_click)


def sizes(panel: types.Object, clusters: list[tuple[int, int]], on_click: Any) -> None:
    """Add a bar for each cluster ``(number, size)``."""
    bars = {
        "type": "bar",
        "name": "size",
        "x": [str(number) for number, _ in clusters],
        "y": [size for _, size in clusters],
        "marker": {"color": CHOSEN},
        "hovertemplate": "cluster %{x}<br>%{y:,} samples<extra></extra>",
    }
    layout = _layout({"type": "category", "nticks": 20}, "samples", {"t": 8, "b": 22}) | {"bargap": 0.25}
    _plot(panel, "sizes", [bars], layout, "170px", on_click)


def similar(eps: float, metric: str) -> str:
    """Return a threshold as people say it: "97 % similar", with digits enough to tell it from 100 %."""
    if metric != "cosine":
        return f"distance {eps:.4g}"
    digits = max(0, 1 - math.floor(math.log10(100 * eps)))
    told = f"{100 * max(1 - eps, 0):.{digits}f}"
    return f"{told.rstrip('0').rstrip('.') if '.' in told else told} % similar"


def _plot(
    panel: types.Object, name: str, data: list, layout: dict[str, Any], height: str, on_click: Any
) -> None:
    panel.plot(
        name,
        data=data,
        layout=layout,
        config={"displayModeBar": False, "scrollZoom": False},
        on_click=on_click,
        height=height,
        componentsProps={"plotly": {"useResizeHandler": True}},
    )


def _layout(across: dict[str, Any], upwards: str, margin: dict[str, int]) -> dict[str, Any]:
    """Return a layout without a background of its own, for the dark theme and the light one."""
    axis = {"fixedrange": True, "automargin": False, "tickfont": {"size": 12}}
    title = {"text": upwards, "font": {"size": 12}}
    return {
        "xaxis": {**axis, "showgrid": False, **across},
        "yaxis": {**axis, "rangemode": "tozero", "nticks": 6, "title": title},
        "margin": {"l": LEFT, "r": RIGHT, **margin},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": {"size": 12},
    }


def _line(name: str, x: list[float], y: list[float], look: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a line without a hover text, unless ``more`` gives it one."""
    trace = {"type": "scatter", "mode": "lines", "name": name, "line": look, "x": x, "y": y}
    return trace | (more or {"hoverinfo": "skip"})


def _kept(swept: SweepResult, scale: Scale) -> dict[str, Any]:
    """Return the step function, with points close enough to be clicked anywhere."""
    grid = np.geomspace(scale.low, scale.high, _POINTS)
    steps = [t.eps for t in (*swept.curve(), *swept.covered()) if scale.low < t.eps < scale.high]
    shown = [swept.at(eps) for eps in np.unique(np.concatenate([grid, steps])).tolist()]
    covered = [t.kept_with_cover for t in shown]
    return _line(
        "one of each",
        [threshold.eps for threshold in shown],
        [threshold.kept for threshold in shown],
        {"shape": "hv", "width": 2, "color": KEPT},
        text=[similar(threshold.eps, swept.metric) for threshold in shown],
        customdata=["" if number is None else f", with cover {number:,}" for number in covered],
        hovertemplate="%{text}<br>keeps %{y:,}%{customdata}<extra></extra>",
    )


def _covered(swept: SweepResult, scale: Scale) -> list[dict[str, Any]]:
    """Return the number kept with cover, where it was counted: nothing is claimed between the points.

    It has no hover text, so that a click is always a click on the line of the number kept.
    """
    shown = [threshold for threshold in swept.covered() if scale.low < threshold.eps < scale.high]
    x, y = [threshold.eps for threshold in shown], [threshold.kept_with_cover for threshold in shown]
    line = _line("with cover", x, y, {"shape": "hv", "dash": "dash", "width": 1.5, "color": KEPT})
    return [line | {"mode": "lines+markers", "marker": {"size": 4}}] if shown else []


def _corner(words: str) -> dict[str, Any]:
    """Return the axis's name inside the chart, where the curve never is: below the axis stands the slider."""
    place = {"xref": "paper", "yref": "paper", "x": 0.01, "y": 0.02, "xanchor": "left", "yanchor": "bottom"}
    return {"text": words, "showarrow": False, "font": {"size": 12, "color": MEASURED}, **place}


def _ticks(scale: Scale) -> list[float]:
    """Return round numbers on the scale, few enough to be read."""
    decades = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        every = [digit * 10.0**decade for decade in decades for digit in digits]
        ticks = [tick for tick in every if scale.low <= tick <= scale.high]
        if len(ticks) <= _MOST_TICKS:
            break
    return ticks
