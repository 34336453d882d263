"""The panel's events about clusters and pairs: which one is shown, and a person's decisions about it."""

from typing import Any

from fiftyone import ViewField as F

from ...similarity.data import runs
from ...similarity.data import samples as sm
from ...similarity.data.locks import Busy
from ...similarity.steps import review
from ...similarity.steps.overview import Overview
from . import state as ps
from .state import State


class Reviewing:
    """The events, for the panel."""

    refresh: Any

    def list_clusters(self, ctx: Any, found: Overview) -> None:
        """List the clusters to review; the list stays as it is while a person decides, which changes the similarities."""
        state = State(ctx)
        order = review.order(ctx.dataset, found.run_key) if found.counts else []
        if set(order) != set(state.order):
            state.set(ps.ORDER, order)
        clustering = review.clustering(ctx.dataset, found.run_key) if order else None
        if clustering != ctx.panel.state.get(ps.OF):
            state.set(ps.OF, clustering)
            state.set(ps.AT, 0)  # only then: a late look would take a person back to the first one

    def review(self, ctx: Any) -> None:
        """Open the tab at the first cluster that nobody has looked at."""
        state = State(ctx)
        seen = review.reviewed(ctx.dataset, state.run_key)
        state.set(ps.AT, next((at for at, number in enumerate(state.order) if number not in seen), 0))
        state.set(ps.TAB, ps.CLUSTERS)

    def previous(self, ctx: Any) -> None:
        """Go back to the cluster before."""
        state = State(ctx)
        state.set(ps.AT, max(state.at - 1, 0))

    def next(self, ctx: Any) -> None:
        """Leave a cluster as it is, and go on; behind the last one, show the result."""
        state = State(ctx)
        if self._done(ctx, review.mark_reviewed, state.order[state.at]):
            if state.at + 1 == len(state.order):
                state.set(ps.TAB, ps.RESULT)
            else:
                state.set(ps.AT, state.at + 1)

    def decide(self, ctx: Any) -> None:
        """Decide about the sample that was clicked."""
        self._decide(ctx, {ctx.params["id"]: ctx.params["word"]})

    def all_different(self, ctx: Any) -> None:
        """Keep every sample of the cluster."""
        state = State(ctx)
        members = review.members(ctx.dataset, state.run_key, state.order[state.at])
        self._decide(ctx, {member.id: review.DISTINCT for member in members if not member.reference})

    def show_cluster(self, ctx: Any) -> None:
        """Select the cluster in the grid."""
        state = State(ctx)
        self._select_cluster(ctx, state.order[state.at])

    def on_bar(self, ctx: Any) -> None:
        """Select the cluster of a bar in the grid."""
        self._select_cluster(ctx, int(ctx.params["x"]))

    def _decide(self, ctx: Any, words: dict[str, str | None]) -> None:
        state = State(ctx)
        if self._done(ctx, review.decide, words):
            state.set(ps.MOVES, state.moves + 1)
            self.refresh(ctx)
            ctx.ops.reload_samples()

    def _done(self, ctx: Any, step: Any, *values: Any) -> bool:
        """Do something to the run; say so where it cannot be done."""
        try:
            step(ctx.dataset, State(ctx).run_key, *values)
        except (ValueError, Busy) as error:
            ctx.ops.notify(str(error), variant="error")
            return False
        return True

    def open_sample(self, ctx: Any) -> None:
        """Open FiftyOne's modal on the picture that was clicked."""
        ctx.ops.open_sample(id=ctx.params["id"])

    def show_in_grid(self, ctx: Any) -> None:
        """Select the pair that was clicked in the grid."""
        _select(ctx, ctx.params["ids"])

    def _select_cluster(self, ctx: Any, number: int) -> None:
        names = runs.Names(State(ctx).run_key)
        _select(ctx, sm.everything(ctx.dataset).match(F(names.cluster) == number).values("id"))


def _select(ctx: Any, ids: list[str]) -> None:
    """Select samples within the grid, as FiftyOne's own panels do, until the panel's state changes.

    The grid keeps its view, unless that lacks some of them.
    """
    if len(ctx.view.select(ids)) == len(ids):
        ctx.ops.set_extended_selection(ids, scope="global")
    else:
        ctx.ops.set_view(view=sm.everything(ctx.dataset).select(ids, ordered=True))
