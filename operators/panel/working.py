"""The panel's events that start a step, follow it and stop it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import fiftyone as fo

from ...similarity.data import runs
from ...similarity.data import samples as sm
from ...similarity.options import ClusterOptions, KeepOptions, UniqueOptions
from ...similarity.progress import Progress
from ...similarity.result import Result
from ...similarity.steps.cluster import cluster
from ...similarity.steps.keep import keep
from ...similarity.steps.map import draw_map, is_current
from ...similarity.steps.sweep import sweep
from ...similarity.steps.unique import find_unique
from ...similarity.workflow import CLUSTER, KEEP
from .. import request
from ..output import CANCELLED
from ..progress import Cancelled
from ..words import app_words
from . import running
from . import state as ps
from .state import State

_TIMES = 3  # that a map is opened
_ONCE = ("confirm", "plan", "ray")  # options of one execution
_OF_VECTORS = ("eps", "metric")


class Working:
    """The events, for the panel."""

    refresh: Any

    def find_unique(self, ctx: Any) -> None:
        """Embed, cluster and keep."""
        state = State(ctx)
        choices = {"weights": state.weights} if state.weights else {}
        self._start(ctx, "Find unique samples", find_unique, choices | _of_field(ctx.dataset, state.field))

    def cluster_and_keep(self, ctx: Any) -> None:
        """Cluster with the chosen threshold, and keep."""

        def both(samples: fo.Dataset, options: UniqueOptions, progress: Progress) -> Result:
            cluster(samples, options.pick(ClusterOptions), progress)
            return keep(samples, options.pick(KeepOptions), progress)

        state = State(ctx)
        choices = state.found.sweep_options.to_dict() | {"eps": state.eps, "target": None}
        self._start(ctx, "Cluster and keep", both, choices)

    def sweep(self, ctx: Any) -> None:
        """Look at every threshold."""
        state = State(ctx)
        work = partial(sweep, ctx.dataset, state.found.sweep_options)
        running.start(ctx.dataset, state.run_key, "Look at every threshold", work)

    def open_map(self, ctx: Any) -> None:
        """Show the map of the vectors, which is made first where there is none."""
        state, dataset = State(ctx), ctx.dataset
        field, key = state.field, runs.Names(state.run_key).map
        try:
            if not is_current(dataset, field, key):
                work = partial(draw_map, dataset, field, key)
                running.start(dataset, state.run_key, "Map", work)
        except ValueError as error:
            ctx.ops.notify(str(error), variant="error")
        else:
            state.set(ps.MAP, _TIMES)

    def show_map(self, ctx: Any) -> None:
        """Open the map in FiftyOne's panel, coloured by kept and dropped, once both are there.

        That panel forgets its state when its code is loaded, so it is told again a few times.
        """
        state, names = State(ctx), runs.Names(State(ctx).run_key)
        at_work, shown = running.find(ctx.dataset, state.run_key), _panels(ctx.spaces, "Embeddings")
        if at_work is not None and not at_work.ended:
            return
        if not is_current(ctx.dataset, state.field, names.map):  # it was cancelled
            state.set(ps.MAP, 0)
        elif not shown:
            ctx.ops.open_panel("Embeddings")
        else:
            color = names.kept if state.found.counts else names.cluster
            told = {"openKey": names.map, "colorField": color}
            ctx.trigger("patch_panel_data", {"panel_id": shown[0], "data": told, "full_merge": True})
            state.set(ps.MAP, state.map - 1)

    def _start(self, ctx: Any, label: str, step: Callable[..., Result], choices: dict[str, Any]) -> None:
        """Start a step with the options that the run has, but for what is chosen here.

        It works on the whole dataset; the grid may show, say, only what is kept.
        """
        dataset, state = ctx.dataset, State(ctx)
        choices |= {"run_key": state.run_key, "embeddings_field": state.field}
        try:
            options = UniqueOptions.of(_recorded(dataset, state.run_key, state.field) | choices)
            request.check(options)
        except ValueError as error:
            ctx.ops.notify(app_words(str(error)), variant="error")
        else:
            running.start(dataset, state.run_key, label, lambda progress: step(dataset, options, progress))

    def follow(self, ctx: Any) -> None:
        """Look how far the step at work is; at its end look again at everything, and tell it once.

        Whoever asks still shows the step at work, also where another tab of the session has noted its end meanwhile.
        """
        state = State(ctx)
        found = running.find(ctx.dataset, state.run_key)
        if found is not None and not found.ended:
            return
        told = found is None or found.id == state.seen
        state.set(ps.SEEN, found and found.id)
        self.refresh(ctx)
        if told:
            return
        ctx.ops.reload_dataset()
        if isinstance(found.error, Cancelled):
            ctx.ops.notify(CANCELLED, variant="info")
        elif found.result is not None:
            ctx.ops.notify(app_words(found.result.summary().splitlines()[0]), variant="success")

    def pass_over(self, ctx: Any) -> None:
        """Take a step that has ended already as told."""
        found = running.find(ctx.dataset, State(ctx).run_key) if ctx.dataset else None
        if found is not None and found.ended:
            ctx.panel.state.set(ps.SEEN, found.id)

    def cancel(self, ctx: Any) -> None:
        """Stop the step at work."""
        found = running.find(ctx.dataset, State(ctx).run_key)
        if found is not None:
            found.cancel()

    def close_problem(self, ctx: Any) -> None:
        """Put away why the last step stopped."""
        running.forget(ctx.dataset, State(ctx).run_key)


def _panels(space: Any, kind: str) -> list[str]:
    """Return the ids of the open panels of a kind."""
    if isinstance(space, fo.Panel):
        return [space.component_id] if space.type == kind else []
    return [found for child in space.children for found in _panels(child, kind)] if space else []


def _of_field(dataset: fo.Dataset, field: str) -> dict[str, Any]:
    """Return the options that the vectors of a field were made with; none where OnlyOne did not make them."""
    told = sm.provenance(dataset, field)
    return {"weights": told["weights_source"], "layer": told["layer"]} if "weights_source" in told else {}


def _recorded(dataset: fo.Dataset, run_key: str, field: str) -> dict[str, Any]:
    """Return the options that a run was clustered and kept with; none before it.

    A threshold and its metric are left out where they are about other vectors than those in ``field``, or about bytes.

    Raises:
        ValueError: if FiftyOne renamed the run
    """
    if run_key not in runs.keys(dataset):
        return {}
    asked = runs.load(dataset, runs.written_as(dataset, run_key))["asked"]  # which says how to rename it back
    # The two share the reference, which is the clustering's.
    found = asked.get(KEEP.name, {}) | asked.get(CLUSTER.name, {})
    gone = _ONCE if found.get("embeddings_field") == field else (*_ONCE, *_OF_VECTORS)
    return {name: found[name] for name in UniqueOptions.names() if name in found and name not in gone}
