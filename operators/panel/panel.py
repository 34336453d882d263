"""The panel: where a dataset stands, which threshold to choose, and what a run left out."""

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone import ViewField as F

from ...similarity.data import archive, runs
from ...similarity.data import samples as sm
from ...similarity.data.files import files
from ...similarity.data.vectors import vector_fields
from ...similarity.options import RunOptions, SweepOptions
from ...similarity.steps.overview import Overview, overview
from ...similarity.steps.states import ALWAYS_CHECKED
from ...similarity.steps.sweep import SweepResult, find, recall, sweep
from ...similarity.workflow import CLUSTER, EMBED, EXPORT, INDEX, KEEP, REMOVE
from . import state as ps
from . import view as panel_view

_URI = "@onlyone/dedup/"
_STILL = 0.01  # hundredths of the slider's way
_AT_ONCE = 2_000  # so many samples are swept while the panel opens
_EVERYTHING = {"view_target": "DATASET"}  # the grid may show, say, only what is kept
_ASKED = {
    EMBED.operator: ("embeddings_field",),
    INDEX.operator: ("embeddings_field",),
    CLUSTER.operator: ("embeddings_field", "run_key"),
    KEEP.operator: ("run_key",),
    EXPORT.operator: ("run_key",),
    REMOVE.operator: ("run_key",),
    "restore_removed": ("run_key",),
}


class DeduplicationPanel(foo.Panel):
    """The panel "Deduplication".

    The browser tab holds its state, so that nothing is lost or mixed up where a server restarts or several tabs are open.
    It takes no notice of the grid's view: its numbers are the dataset's, and FiftyOne reports a changed view three times
    whenever a panel's own state changes.
    """

    @property
    def config(self) -> foo.PanelConfig:
        """What FiftyOne needs to know about the panel."""
        return foo.PanelConfig(
            name="deduplication",
            label="Deduplication",
            icon="filter_none",
            surfaces="grid",
            category=foo.Categories.CURATE,
            help_markdown="Find near-duplicates, choose a threshold with open eyes, keep one of each.",
        )

    def on_load(self, ctx) -> None:
        """Look at the dataset."""
        self.refresh(ctx)

    def on_change_dataset(self, ctx) -> None:
        """Forget the other dataset's choices, then look."""
        ctx.panel.state.clear()
        self.refresh(ctx)

    def refresh(self, ctx) -> None:
        """Look again."""
        if ctx.dataset is None:
            return
        ctx.dataset.reload()
        panel, state = ctx.panel.state, ps.PanelState.of(ctx.panel)
        run_keys, fields = runs.keys(ctx.dataset), vector_fields(ctx.dataset)
        run_key = _one_of(state.run_key, run_keys, RunOptions().run_key)
        field = _one_of(state.field, fields, SweepOptions().embeddings_field)
        found = overview(ctx.dataset, run_key, field)
        swept = _look(ctx.dataset, found)
        panel.set(ps.RUN, run_key)
        panel.set(ps.FIELD, field)
        panel.set(ps.FOUND, found.to_dict())
        panel.set(ps.SWEPT, swept.key if swept else None)
        _place(ctx, swept, state.eps)

    def on_run(self, ctx) -> None:
        """Show another run, with its vectors."""
        panel, record = ctx.panel.state, runs.load(ctx.dataset, ctx.params["value"])
        panel.set(ps.RUN, ctx.params["value"])
        panel.set(ps.FIELD, record["steps"][CLUSTER.name]["options"]["embeddings_field"])
        panel.set(ps.EPS, None)
        self.refresh(ctx)

    def on_field(self, ctx) -> None:
        """Look at other vectors."""
        ctx.panel.state.set(ps.FIELD, ctx.params["value"])
        ctx.panel.state.set(ps.EPS, None)
        self.refresh(ctx)

    def on_price(self, ctx) -> None:
        """Another price per picture."""
        ctx.panel.state.set(ps.PRICE, max(0.0, float(ctx.params["value"] or 0)))

    def on_slider(self, ctx) -> None:
        """Move the threshold by the slider."""
        state, swept = ps.PanelState.of(ctx.panel), _swept(ctx)
        if swept is None:
            return
        scale, place = ps.Scale.of(swept.curve()), float(ctx.params["value"])
        shown = scale.place(ps.start(swept) if state.eps is None else state.eps)
        if abs(place - shown) > _STILL:  # the App also reports the place that a slider is first drawn at
            ctx.panel.state.set(ps.EPS, scale.at(place))

    def on_point(self, ctx) -> None:
        """Move the threshold by a click on the curve."""
        _place(ctx, _swept(ctx), float(ctx.params["x"]))

    def on_target(self, ctx) -> None:
        """Move the threshold to where about so many are kept."""
        swept, target = _swept(ctx), str(ctx.params["value"] or "")
        if swept is None or not target:
            return
        try:
            _place(ctx, swept, swept.eps_for(target))
        except ValueError as error:
            ctx.ops.notify(str(error), variant="error")

    def use_measured(self, ctx) -> None:
        """Move the threshold back to the measured one."""
        _place(ctx, _swept(ctx), None)

    def sweep(self, ctx) -> None:
        """Open the form of the operator that looks at every threshold."""
        options = ps.PanelState.of(ctx.panel).found.sweep_options.to_dict()
        self._prompt(ctx, "sweep_thresholds", options)

    def cluster(self, ctx) -> None:
        """Open the form of the clustering with the chosen threshold."""
        state, swept = ps.PanelState.of(ctx.panel), _swept(ctx)
        eps = ps.start(swept) if state.eps is None else state.eps
        params = state.found.sweep_options.to_dict() | {"run_key": state.run_key, "eps": repr(eps)}
        self._prompt(ctx, CLUSTER.operator, params)

    def open_operator(self, ctx) -> None:
        """Open the form of one of the steps."""
        operator, state = ctx.params["operator"], ps.PanelState.of(ctx.panel)
        params = {"embeddings_field": state.field, "run_key": state.run_key}
        self._prompt(ctx, operator, {name: params[name] for name in _ASKED[operator]})

    def _prompt(self, ctx, operator: str, params: dict[str, Any]) -> None:
        ctx.prompt(f"{_URI}{operator}", params=params | _EVERYTHING, on_success=self.refresh)

    def show_row(self, ctx) -> None:
        """Show the cluster of a row of the table in the grid."""
        found = ps.PanelState.of(ctx.panel).found
        _show_cluster(ctx, found, found.largest[ctx.params["row"]].number)

    def on_bar(self, ctx) -> None:
        """Show the cluster of a bar of the chart in the grid."""
        _show_cluster(ctx, ps.PanelState.of(ctx.panel).found, int(ctx.params["x"]))

    def show_saved_view(self, ctx) -> None:
        """Open one of the run's saved views; the archive in place of that of the duplicates when they are all removed."""
        state = ps.PanelState.of(ctx.panel)
        name, counts = runs.Names(state.run_key).view(ctx.params["word"]), state.found.counts
        if ctx.params["word"] == "duplicates" and counts.removed and counts.removed == counts.dropped:
            ctx.ops.open_dataset(archive.find(ctx.dataset, state.run_key).name)
        elif ctx.dataset.has_saved_view(name):
            # not by name: the App looks for it among the saved views that it has listed, and this one may be new
            ctx.ops.set_view(view=ctx.dataset.load_saved_view(name))
        else:
            ctx.ops.notify(f"There is no view {name!r}: keep first per cluster makes it", variant="info")

    def render(self, ctx) -> types.Property:
        """Draw what is known."""
        state = ps.PanelState.of(ctx.panel)
        if ctx.dataset is None or state.found is None:
            return panel_view.nothing("Open a dataset of pictures to look for near-duplicates in it.")

        def files_of(ids: list[str]) -> dict[str, str]:
            return files(ctx.dataset, ids)

        return panel_view.draw(ps.Shown(self, state, state.found, _swept(ctx), files_of))


def _one_of(wanted: str | None, there: list[str], default: str) -> str:
    if wanted in there or not there:
        return wanted if wanted in there else default
    return default if default in there else there[0]


def _look(dataset: fo.Dataset, found: Overview) -> SweepResult | None:
    """The sweep of the vectors as they are now, if it was made before or is made at once."""
    if found.problem or not found.vectors:
        return None
    try:
        if found.vectors <= _AT_ONCE:
            return sweep(dataset, found.sweep_options)
        return find(dataset, found.sweep_options, trust_over=ALWAYS_CHECKED)
    except ValueError:  # vectors that cannot be compared: the steps say what to do
        return None


def _swept(ctx) -> SweepResult | None:
    """The sweep that the panel shows."""
    state = ps.PanelState.of(ctx.panel)
    if state.found is None or state.swept is None:
        return None
    return recall(ctx.dataset, state.found.sweep_options, state.swept)


def _place(ctx, swept: SweepResult | None, eps: float | None) -> None:
    """Set the threshold that the panel talks about, None for the measured one, and the slider with it."""
    state = ps.PanelState.of(ctx.panel)
    known = swept is not None and eps is not None
    ctx.panel.state.set(ps.EPS, ps.Scale.of(swept.curve()).clip(eps) if known else None)
    ctx.panel.state.set(ps.MOVES, state.moves + 1)


def _show_cluster(ctx, found: Overview, number: int) -> None:
    """Show one cluster in the grid, the kept one first."""
    names = runs.Names(found.run_key)
    view = sm.everything(ctx.dataset).match(F(names.cluster) == number)
    if ctx.dataset.has_sample_field(names.kept):
        view = view.sort_by(names.kept, reverse=True)
    ctx.ops.set_view(view=view)
