"""How the panel looks: a column of headings, numbers, curves, tables and pictures."""

import math
from typing import Any
from urllib.parse import quote

import fiftyone.operators.types as types

from ..similarity.overview import DONE, MISSING, STALE, Overview
from ..similarity.result import percent as share
from ..similarity.steps.sweep import Merge, SweepResult, Threshold

_SEEN: dict[str, Overview] = {}
_MOST_SEEN = 16
_COLORS = {DONE: "success", STALE: "warning", MISSING: "info"}
_LABELS = {
    "compute_embeddings": "Compute embeddings",
    "build_similarity_index": "Build similarity index",
    "cluster_duplicates": "Cluster duplicates",
    "keep_first_per_cluster": "Keep first per cluster",
}
THUMBNAIL = 150  # pixels


def remember(ctx, found: Overview) -> None:
    """Keep what was looked up until the panel looks again."""
    _SEEN.pop(_key(ctx), None)
    _SEEN[_key(ctx)] = found
    while len(_SEEN) > _MOST_SEEN:
        _SEEN.pop(next(iter(_SEEN)))
    ctx.panel.set_state("largest_numbers", [row.number for row in found.largest])


def remembered(ctx) -> Overview | None:
    """What was looked up last, or None."""
    return _SEEN.get(_key(ctx))


def _key(ctx) -> str:
    return f"{ctx.dataset._doc.id} {ctx.panel.state.run_key} {ctx.panel.state.field}"


def draw(panel: types.Object, events: Any, ctx, found: Overview, swept: SweepResult | None) -> None:
    """Draw everything."""
    _choices(panel, events, ctx, found)
    _steps(panel, events, found)
    _numbers(panel, events, ctx, found)
    _thresholds(panel, events, ctx, found, swept)
    _clusters(panel, events, found)
    _worst(panel, events, ctx, found)


def _choices(panel: types.Object, events: Any, ctx, found: Overview) -> None:
    from ..similarity import runs
    from ..similarity import samples as sm

    row = panel.h_stack("choices", align_y="center", gap=2)
    keys = runs.keys(ctx.dataset) or [found.run_key]
    fields = sm.vector_fields(ctx.dataset) or [found.embeddings_field]
    row.enum(
        "run", keys, label="Run", default=found.run_key, view=types.DropdownView(), on_change=events.on_run
    )
    row.enum(
        "field",
        fields,
        label="Vectors",
        default=found.embeddings_field,
        view=types.DropdownView(),
        on_change=events.on_field,
    )
    row.btn("refresh", label="Refresh", icon="refresh", on_click=events.refresh, variant="outlined")


def _heading(panel: types.Object, name: str, text: str) -> None:
    panel.view(f"{name}_title", types.Header(label=text, divider=True))


def _steps(panel: types.Object, events: Any, found: Overview) -> None:
    _heading(panel, "steps", "Steps")
    for number, step in enumerate(found.steps, 1):
        row = panel.h_stack(f"step_{step.operator}", align_y="center", gap=1)
        row.btn(
            step.operator,
            label=f"{number}  {_LABELS[step.operator]}",
            on_click=events.open_operator,
            params={"operator": step.operator},
            variant="outlined" if step.state == DONE else "contained",
        )
        row.view(
            f"{step.operator}_state",
            types.PillBadgeView(text=step.state.capitalize(), color=_COLORS[step.state], variant="outlined"),
        )
        row.md(step.text, name=f"{step.operator}_text")


def _numbers(panel: types.Object, events: Any, ctx, found: Overview) -> None:
    if found.samples is None:
        panel.md(
            "Nothing is clustered yet. The steps above lead there, or **Find unique samples** over the grid does them all.",
            name="numbers_empty",
        )
        return
    kept = found.kept if found.kept is not None else found.clusters + found.noise
    price = ctx.panel.state.price or 0.0
    saved = f"{(found.samples - kept) * price:,.2f}" if price else "-"
    dropped = f"{found.dropped:,}" if found.dropped is not None else "-"
    skipped = f"{found.skipped:,}" if found.skipped is not None else "-"
    values = (f"{found.samples:,}", f"{kept:,}", dropped, skipped, share(kept, found.samples), saved)
    panel.md(
        "| samples | kept | dropped | skipped | to annotate | saved |\n|--:|--:|--:|--:|--:|--:|\n"
        "| " + " | ".join(f"**{value}**" for value in values) + " |",
        name="numbers",
    )
    for number, note in enumerate(found.notes):
        panel.view(
            f"note_{number}",
            types.Warning(label=note) if note.startswith("WARNING") else types.Notice(label=note),
        )
    row = panel.h_stack("views", gap=1, align_y="center")
    for word, label in (("kept", "Show kept"), ("duplicates", "Show dropped"), ("clusters", "Show clusters")):
        row.btn(word, label=label, on_click=events.show_saved_view, params={"word": word}, variant="outlined")
    row.float("price", label="Price per picture", default=price, on_change=events.on_price)


def _thresholds(panel: types.Object, events: Any, ctx, found: Overview, swept: SweepResult | None) -> None:
    _heading(panel, "threshold", "Threshold")
    if swept is None:
        if found.steps[0].state == "missing":
            panel.md(
                "Compute embeddings first; then every threshold can be looked at.", name="threshold_empty"
            )
        else:
            panel.btn(
                "look",
                label="Look at every threshold",
                icon="show_chart",
                on_click=events.look_at_thresholds,
                variant="contained",
            )
        return
    curve = swept.curve()
    panel.plot(
        "curve",
        layout=_LAYOUT,
        config={"displayModeBar": False},
        on_click=events.on_point,
        height=280,
    )
    position = ctx.panel.state.position
    panel.int(
        "position",
        label="Less similar pairs are joined to the right",
        default=position_of(curve, swept.eps) if position is None else position,
        min=0,
        max=len(curve) - 1,
        view=types.SliderView(componentsProps={"slider": {"min": 0, "max": len(curve) - 1, "step": 1}}),
        on_change=events.on_position,
    )
    eps = ctx.panel.state.eps or swept.eps
    panel.md(_at(swept, eps), name="at")
    row = panel.h_stack("threshold_buttons", gap=1)
    row.btn("cluster", label=f"Cluster with eps {eps:.4g}", on_click=events.cluster, variant="contained")
    row.btn("suggestion", label="Use the suggestion", on_click=events.use_suggestion, variant="outlined")
    _pairs(
        panel, ctx, "under", "Joined: the least similar pairs within this threshold", swept.just_under(eps)
    )
    _pairs(panel, ctx, "over", "Kept apart: the most similar pairs beyond it", swept.just_over(eps))


_LAYOUT = {
    "xaxis": {"type": "log", "title": {"text": "eps"}},
    "yaxis": {"title": {"text": "kept"}, "rangemode": "tozero"},
    "margin": {"l": 50, "r": 10, "t": 10, "b": 40},
    "showlegend": False,
    "hovermode": "closest",
}


def _at(swept: SweepResult, eps: float) -> str:
    row = swept.at(eps)
    similar = f" ({100 * (1 - eps):.2f} % similar)" if swept.metric == "cosine" else ""
    chosen = "The suggestion" if eps == swept.eps else "Your choice"
    lines = [
        f"**{chosen}: eps {eps:.4g}**{similar} keeps **{row.kept:,}** of {swept.samples:,} "
        f"({share(row.kept, swept.samples)}): {row.clusters:,} clusters, {row.noise:,} samples unlike any other, "
        f"the largest cluster {row.largest:,}.",
        "",
        f"Suggested: eps {swept.eps:.4g}; {swept.eps_reason}."
        + ("" if swept.eps_clear else " **No clear gap.**"),
    ]
    return "\n".join(lines)


def _pairs(panel: types.Object, ctx, name: str, title: str, merges: list[Merge]) -> None:
    if not merges:
        return
    panel.md(f"**{title}**", name=f"{name}_title")
    ids = [sample_id for merge in merges for sample_id in (merge.id, merge.other_id)]
    _pictures(panel, ctx, name, [(m.id, m.other_id, f"{m.similarity:.2f} %") for m in merges], ids)


def _pictures(panel: types.Object, ctx, name: str, pairs: list[tuple[str, str, str]], ids: list[str]) -> None:
    """Pairs of pictures side by side, with a caption below each pair."""
    paths = dict(zip(*ctx.dataset.select(ids).values(["id", "filepath"]), strict=True))
    row = panel.h_stack(f"{name}_pairs", gap=2, wrap=True)
    for number, (left, right, caption) in enumerate(pairs):
        cell = row.v_stack(f"{name}_{number}", gap=0)
        both = cell.h_stack("both", gap=0)
        for side, sample_id in (("left", left), ("right", right)):
            if sample_id in paths:
                url = f"/media?filepath={quote(paths[sample_id])}"
                both.img(side, href=url, height=f"{THUMBNAIL}px", alt_text=paths[sample_id])
        cell.md(caption, name="caption")


def _clusters(panel: types.Object, events: Any, found: Overview) -> None:
    if not found.largest:
        return
    _heading(panel, "clusters", "Largest clusters")
    table = types.TableView()
    columns = (
        ("number", "cluster"),
        ("size", "samples"),
        ("kept", "kept"),
        ("spread", "spread"),
        ("worst", "worst similarity"),
    )
    for key, label in columns:
        table.add_column(key, label=label)
    table.add_row_action("show", on_click=events.show_cluster, label="Show in grid", icon="visibility")
    row = types.Object()
    for key, _ in columns:
        row.str(key)
    rows = [
        {
            "number": f"{r.number}",
            "size": f"{r.size:,}",
            "kept": "-" if r.kept is None else f"{r.kept:,}",
            "spread": "-" if r.spread is None else f"{r.spread:.4f}",
            "worst": "-" if r.worst_similarity is None else f"{r.worst_similarity:.2f} %",
        }
        for r in found.largest
    ]
    panel.list("largest", row, view=table, default=rows)


def _worst(panel: types.Object, events: Any, ctx, found: Overview) -> None:
    if not found.worst:
        return
    _heading(panel, "worst", "Left out, and least similar to what stands for it")
    ids = [sample_id for pair in found.worst for sample_id in (pair.id, pair.kept_id)]
    pairs = [(pair.id, pair.kept_id, f"dropped, kept: {pair.similarity:.2f} %") for pair in found.worst]
    _pictures(panel, ctx, "worst", pairs, ids)
    panel.btn(
        "worst",
        label="Show all",
        on_click=events.show_saved_view,
        params={"word": "worst"},
        variant="outlined",
    )


def curve_traces(swept: SweepResult, eps: float) -> list[dict[str, Any]]:
    """The curve as Plotly traces: kept over eps, the suggestion, and the chosen eps."""
    curve = [threshold for threshold in swept.curve() if threshold.eps > 0]
    top = max(threshold.kept for threshold in curve)
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "line": {"shape": "hv"},
            "marker": {"size": 4},
            "name": "kept",
            "x": [threshold.eps for threshold in curve],
            "y": [threshold.kept for threshold in curve],
        },
        _line("suggestion", swept.eps, top, "dot"),
        _line("chosen", eps, top, "solid"),
    ]


def _line(name: str, eps: float, top: int, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": {"dash": dash, "width": 1},
        "x": [eps, eps],
        "y": [0, top],
    }


def position_of(curve: list[Threshold], eps: float) -> int:
    """The place on the curve in force at ``eps``."""
    return max((i for i, threshold in enumerate(curve) if threshold.eps <= eps), default=0)


def middle(curve: list[Threshold], position: int) -> float:
    """An eps inside a place of the curve: the middle, on a log scale, of where its number kept holds."""
    low = max(curve[position].eps, 1e-6)
    if position + 1 == len(curve):
        return low * 1.001
    return math.sqrt(low * max(curve[position + 1].eps, low))
