"""The panel: state of a dataset, choice of a threshold, and review of a run."""

import time
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...similarity.data import archive, runs
from ...similarity.data.vectors import vector_fields
from ...similarity.options import RunOptions, SweepOptions
from ...similarity.steps.overview import Overview, overview
from ...similarity.steps.states import ALWAYS_CHECKED
from ...similarity.steps.sweep import SweepResult, find, sweep
from ...similarity.workflow import CLUSTER, EMBED, INDEX
from ..words import uri
from . import overview as page
from . import state as ps
from .reviewing import Reviewing
from .state import State
from .working import Working

_STILL = 0.01  # hundredths of the slider's way
_AT_ONCE = 2_000  # so many samples are swept while the panel opens
_EVERYTHING = {"view_target": "DATASET"}  # the grid may show, say, only what is kept
_WITH_FIELD = (EMBED.operator, INDEX.operator, CLUSTER.operator, "find_unique_samples")
_WITHOUT_RUN = (EMBED.operator, INDEX.operator)

_PATIENCE = 50  # times 0.2 s, until a run that is being written can be read


class DeduplicationPanel(Working, Reviewing, foo.Panel):
    """The panel "Deduplication".

    The browser tab holds its state, so that nothing is lost or mixed up where a server restarts or several tabs are open.
    It takes no notice of the grid's view: its numbers are the dataset's, and FiftyOne reports a changed view three times
    whenever a panel's own state changes.
    """

    @property
    def config(self) -> foo.PanelConfig:
        """The panel's configuration."""
        return foo.PanelConfig(
            name="deduplication",
            label="Deduplication",
            icon="filter_none",
            surfaces="grid",
            category=foo.Categories.CURATE,
            help_markdown="Find near-duplicates, choose a threshold with open eyes, keep one of each.",
        )

    def execute(self, ctx) -> Any:
        """Answer an event; a mere report gets none, since an answer draws the panel as it was when the event was sent."""
        if self._is_report(ctx):
            return None
        if ctx.dataset is not None and State(ctx).found is None and ctx.params.get("__method__") != "on_load":
            self.refresh(ctx)  # the App has lost the state, or not taken it over yet
        return super().execute(ctx)

    def _is_report(self, ctx) -> bool:
        """Return whether the App reports a value that it has drawn itself."""
        event, value, state = ctx.params.get("__method__"), ctx.params.get("value"), State(ctx)
        if event in ("on_run", "on_field"):
            return value == (state.run_key if event == "on_run" else state.field)
        if event == "on_price":
            return float(value or 0) == state.price
        if event == "on_slider":
            return state.swept is None or abs(float(value) - state.scale.place(state.eps)) <= _STILL
        return False

    def on_load(self, ctx) -> None:
        """Look at the dataset."""
        self.refresh(ctx)
        self.pass_over(ctx)

    def on_change_dataset(self, ctx) -> None:
        """Forget the other dataset's choices, then look."""
        ctx.panel.state.clear()
        self.refresh(ctx)

    def refresh(self, ctx) -> None:
        """Look again."""
        if ctx.dataset is None:
            return
        ctx.dataset.reload()
        state = State(ctx)
        run_key = _one_of(state.run_key, runs.keys(ctx.dataset), RunOptions().run_key)
        field = _one_of(state.field, vector_fields(ctx.dataset), SweepOptions().embeddings_field)
        found = overview(ctx.dataset, run_key, field)
        swept = _look(ctx.dataset, found)
        if state.found is not None and state.found.run_keys != found.run_keys:
            ctx.ops.reload_dataset()  # saved views are opened by their names, which the App has listed before
        for key, value in ((ps.RUN, run_key), (ps.FIELD, field), (ps.FOUND, found.to_dict())):
            state.set(key, value)
        state.set(ps.SWEPT, swept.key if swept else None)
        self.list_clusters(ctx, found)
        State(ctx).move(state.chosen)

    def on_tab(self, ctx) -> None:
        """Show another tab."""
        ctx.panel.state.set(ps.TAB, ctx.params["tab"])

    def on_run(self, ctx) -> None:
        """Show another run, with its vectors."""
        run_key = ctx.params["value"]
        ctx.panel.state.set(ps.RUN, run_key)
        ctx.panel.state.set(ps.AT, 0)
        # none where another tab has opened another dataset meanwhile
        self._show_field(ctx, runs.options(ctx.dataset, run_key).get("embeddings_field", State(ctx).field))

    def on_field(self, ctx) -> None:
        """Look at other vectors."""
        self._show_field(ctx, ctx.params["value"])

    def _show_field(self, ctx, field: str) -> None:
        ctx.panel.state.set(ps.FIELD, field)
        ctx.panel.state.set(ps.EPS, None)
        self.refresh(ctx)

    def on_price(self, ctx) -> None:
        """Take another price per picture."""
        ctx.panel.state.set(ps.PRICE, max(0.0, float(ctx.params["value"] or 0)))

    def on_slider(self, ctx) -> None:
        """Move the threshold by the slider."""
        state = State(ctx)
        state.set(ps.EPS, state.scale.at(float(ctx.params["value"])))

    def on_point(self, ctx) -> None:
        """Move the threshold by a click on the curve."""
        State(ctx).move(float(ctx.params["x"]))

    def on_target(self, ctx) -> None:
        """Move the threshold to where about so many are kept, while the number is typed."""
        state, target = State(ctx), str(ctx.params["value"] or "").strip()
        if state.swept is None:
            return
        state.set(ps.PROBLEM, None)
        try:
            state.move(state.swept.eps_for(target) if target else None)
        except ValueError as error:
            state.set(ps.PROBLEM, str(error))

    def use_measured(self, ctx) -> None:
        """Move the threshold back to the measured one."""
        State(ctx).move(None)

    def open_operator(self, ctx) -> None:
        """Open the form of one of the operators, for the run and the vectors that are shown."""
        operator, state = ctx.params["operator"], State(ctx)
        params = {} if operator in _WITHOUT_RUN else {"run_key": state.run_key}
        params |= {"embeddings_field": state.field} if operator in _WITH_FIELD else {}
        self._prompt(ctx, operator, params)

    def _prompt(self, ctx, operator: str, params: dict[str, Any]) -> None:
        ctx.prompt(uri(operator), params=params | _EVERYTHING, on_success=self.refresh)

    def show_saved_view(self, ctx) -> None:
        """Open one of the run's saved views; the archive in place of that of the duplicates when they are all removed."""
        state = State(ctx)
        name, counts = runs.Names(state.run_key).view(ctx.params["word"]), state.found.counts
        if ctx.params["word"] == "duplicates" and counts.removed and counts.removed == counts.dropped:
            name = archive.find(ctx.dataset, state.run_key).name
            ctx.ops.open_dataset(name)
            ctx.ops.notify(
                f"The removed samples are in {name!r}. Restore removed, over the grid, brings them back."
            )
        elif ctx.dataset.has_saved_view(name):
            ctx.ops.set_view(name=name)
        else:
            ctx.ops.notify(f"There is no view {name!r}: keep first per cluster makes it", variant="info")

    def render(self, ctx) -> types.Property:
        """Draw the last look at the dataset."""
        state = State(ctx)
        if ctx.dataset is None or state.found is None:
            return page.nothing("Open a dataset of pictures to look for near-duplicates in it.")
        for _ in range(_PATIENCE):
            try:
                return page.draw(self, state, ctx.dataset)
            except ValueError:  # another request is writing the run's fields, or has deleted the run
                time.sleep(0.2)
                ctx.dataset.reload()
                if state.run_key not in runs.keys(ctx.dataset):
                    self.refresh(ctx)
                    state = State(ctx)
        return page.draw(self, state, ctx.dataset)


def _one_of(wanted: str | None, there: list[str], default: str) -> str:
    """Return the wanted one if it is there, else the default if it is, else the first that is."""
    return next((name for name in (wanted, default) if name in there), there[0] if there else default)


def _look(dataset: fo.Dataset, found: Overview) -> SweepResult | None:
    """Return the sweep of the vectors as they are now, if it was made before or is made at once."""
    if found.problem or not found.vectors:
        return None
    try:
        if found.vectors <= _AT_ONCE:
            return sweep(dataset, found.sweep_options)
        return find(dataset, found.sweep_options, trust_over=ALWAYS_CHECKED)
    except ValueError:  # vectors that cannot be compared: the steps say what to do
        return None
