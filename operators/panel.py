"""The panel: where a dataset stands, which threshold to choose, and what a run left out."""

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone import ViewField as F

from ..similarity import runs, sweeps
from ..similarity import samples as sm
from ..similarity.options import SweepOptions
from ..similarity.overview import Overview, overview
from ..similarity.steps.sweep import SweepResult, sweep
from . import panel_view as draw

PREFIX = "@onlyone/dedup/"
NEW_RUN, NEW_FIELD = "dedup", "vgg16"


class DeduplicationPanel(foo.Panel):
    """The panel "Deduplication"; its state is a few short values, everything else is looked up at each event."""

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
        """Look again, after an operator ran or samples changed."""
        if ctx.dataset is None:
            return
        state = ctx.panel.state
        run_keys, fields = runs.keys(ctx.dataset), sm.vector_fields(ctx.dataset)
        state.run_key = state.run_key if state.run_key in run_keys else next(iter(run_keys), NEW_RUN)
        state.field = state.field if state.field in fields else next(iter(fields), NEW_FIELD)
        found = overview(ctx.dataset, state.run_key, state.field)
        draw.remember(ctx, found)
        self._place(ctx, self._swept(ctx, compute=False))

    def on_run(self, ctx) -> None:
        """Show another run."""
        ctx.panel.state.run_key = ctx.params["value"]
        ctx.panel.state.position = None
        self.refresh(ctx)

    def on_field(self, ctx) -> None:
        """Look at other vectors."""
        ctx.panel.state.field = ctx.params["value"]
        ctx.panel.state.position = None
        self.refresh(ctx)

    def on_price(self, ctx) -> None:
        """Another price per picture."""
        ctx.panel.state.price = max(0.0, float(ctx.params["value"] or 0))

    def look_at_thresholds(self, ctx) -> None:
        """Sweep the thresholds of the vectors."""
        self._place(ctx, self._swept(ctx, compute=True))

    def on_position(self, ctx) -> None:
        """Move the threshold by the slider."""
        ctx.panel.state.position = int(ctx.params["value"])
        self._place(ctx, self._swept(ctx, compute=False))

    def on_point(self, ctx) -> None:
        """Move the threshold by a click on the curve."""
        swept = self._swept(ctx, compute=False)
        if swept is not None:
            ctx.panel.state.position = draw.position_of(swept.curve(), float(ctx.params["x"]))
            self._place(ctx, swept)

    def use_suggestion(self, ctx) -> None:
        """Move the threshold back to the suggestion."""
        ctx.panel.state.position = None
        self._place(ctx, self._swept(ctx, compute=False))

    def cluster(self, ctx) -> None:
        """Open the form of the clustering operator with the chosen threshold."""
        state = ctx.panel.state
        params = {"embeddings_field": state.field, "run_key": state.run_key}
        if state.eps is not None:
            params["eps"] = f"{state.eps:.6g}"
        ctx.prompt(f"{PREFIX}cluster_duplicates", params=params, on_success=self.refresh)

    def open_operator(self, ctx) -> None:
        """Open the form of one of the steps."""
        operator, state = ctx.params["operator"], ctx.panel.state
        if operator == "cluster_duplicates":
            self.cluster(ctx)
            return
        params = {"compute_embeddings": {"embeddings_field": state.field}}
        params["build_similarity_index"] = params["compute_embeddings"]
        ctx.prompt(
            f"{PREFIX}{operator}",
            params=params.get(operator, {"run_key": state.run_key}),
            on_success=self.refresh,
        )

    def show_cluster(self, ctx) -> None:
        """Show one cluster in the grid, the kept one first."""
        names = runs.Names(ctx.panel.state.run_key)
        row = ctx.panel.get_state("largest_numbers")[ctx.params["row"]]
        view = sm.everything(ctx.dataset).match(F(names.cluster) == row)
        if ctx.dataset.has_sample_field(names.kept):
            view = view.sort_by(names.kept, reverse=True)
        ctx.ops.set_view(view=view)

    def show_saved_view(self, ctx) -> None:
        """Open one of the run's saved views."""
        name = runs.Names(ctx.panel.state.run_key).view(ctx.params["word"])
        if ctx.dataset.has_saved_view(name):
            ctx.ops.set_view(name=name)
        else:
            ctx.ops.notify(f"There is no view {name!r} yet: keep first per cluster makes it", variant="info")

    def render(self, ctx) -> types.Property:
        """Draw what is known."""
        panel = types.Object()
        found: Overview | None = draw.remembered(ctx) if ctx.dataset is not None else None
        if found is None:
            panel.md("Open a dataset to look for near-duplicates in it.", name="empty")
        else:
            draw.draw(panel, self, ctx, found, self._swept(ctx, compute=False))
        view = types.GridView(orientation="vertical", align_x="left", gap=2, width=100, padding=1)
        return types.Property(panel, view=view)

    def _swept(self, ctx, compute: bool) -> SweepResult | None:
        """The sweep of the chosen vectors: the one last looked at, or, if asked for, computed."""
        options = SweepOptions(embeddings_field=ctx.panel.state.field or NEW_FIELD)
        if compute:
            try:
                result = sweep(ctx.dataset, options)
            except ValueError as error:
                ctx.ops.notify(str(error), variant="error")
                return None
            sweeps.show(ctx.dataset, options, result)
        return sweeps.shown(ctx.dataset, options)

    def _place(self, ctx, swept: SweepResult | None) -> None:
        """Set the threshold that the panel talks about: the slider's, or the suggestion."""
        state = ctx.panel.state
        if swept is None:
            state.eps = None
            return
        curve = swept.curve()
        if state.position is None:
            state.eps = swept.eps
        else:
            state.eps = draw.middle(curve, min(state.position, len(curve) - 1))
        ctx.panel.data.curve = draw.curve_traces(swept, state.eps)
