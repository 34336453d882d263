"""The panel's state, as its browser tab remembers it and sends it with every event."""

import math
from functools import cached_property
from typing import Any

from ...similarity.steps.overview import Overview
from ...similarity.steps.sweep import SweepResult, recall

RUN, FIELD, PRICE, WEIGHTS = "choices.run", "choices.field", "price", "start.line.weights"
FOUND, SWEPT, EPS, MOVES, SEEN = "found", "swept", "eps", "moves", "seen"
TAB, ORDER, OF, AT, PROBLEM, MAP = "tab", "order", "of", "at", "problem", "map"

RESULT, THRESHOLD, CLUSTERS, PAIRS, STEPS = "Result", "Threshold", "Clusters", "Pairs", "Steps"


class Scale:
    """The axis of thresholds, logarithmic, from just below the first merge to just above the last.

    Args:
        swept: the sweep whose merges they are

    Attributes:
        low, high: eps at its ends
    """

    def __init__(self, swept: SweepResult):
        curve = swept.curve()
        merges = [threshold.eps for threshold in curve[1:]] or [curve[0].eps]
        self.low, self.high = merges[0] / 1.6, merges[-1] * 1.25

    def clip(self, eps: float) -> float:
        """Return the nearest eps on the scale."""
        return min(max(eps, self.low), self.high)

    def place(self, eps: float) -> float:
        """Return where an eps is, 0 to 100."""
        return 100 * math.log(self.clip(eps) / self.low) / math.log(self.high / self.low)

    def at(self, place: float) -> float:
        """Return the eps at a place."""
        return self.low * (self.high / self.low) ** (min(max(place, 0.0), 100.0) / 100)


class State:
    """The state, read once an event.

    Args:
        ctx: FiftyOne's context of the event

    Attributes:
        run_key, field: chosen; None before the first look
        price: of a picture; 0 if none is given
        weights: for a field that has none yet; None if nobody chose
        chosen: the chosen threshold; None = the measured one
        moves: how often the threshold was moved otherwise than by the slider
        seen: id of the running step whose end was told
        problem: why the number to keep that was typed is none; None if it is one
        tab: the tab that is shown
        map: how many times more the map is to be opened
        order: the clusters to review, and ``at`` the place of the one that is shown
    """

    def __init__(self, ctx: Any):
        self._ctx, self._get = ctx, ctx.panel.state.get
        self.run_key, self.field = self._get(RUN), self._get(FIELD)
        self.price = float(self._get(PRICE) or 0)
        self.chosen, self.moves = self._get(EPS), self._get(MOVES) or 0
        self.seen, self.weights, self.problem = self._get(SEEN), self._get(WEIGHTS), self._get(PROBLEM)
        self.tab = self._get(TAB) or RESULT
        self.map = self._get(MAP) or 0
        self.order = self._get(ORDER) or []
        self.at = min(self._get(AT) or 0, max(len(self.order) - 1, 0))

    @cached_property
    def found(self) -> Overview | None:
        """The result of the last look."""
        found = self._get(FOUND)
        return Overview.of(found) if found else None

    @cached_property
    def swept(self) -> SweepResult | None:
        """The sweep of thresholds; None if nobody looked yet."""
        key = self._get(SWEPT)
        return recall(self._ctx.dataset, self.found.sweep_options, key) if self.found and key else None

    @cached_property
    def scale(self) -> Scale:
        """The axis of thresholds; there must be a sweep."""
        return Scale(self.swept)

    @property
    def eps(self) -> float:
        """The threshold that the panel talks about: chosen, or measured, or the middle of the scale; with a sweep only."""
        eps = self.swept.eps if self.chosen is None else self.chosen
        return self.scale.at(50) if eps is None else eps

    def set(self, key: str, value: Any) -> None:
        """Remember a value, for the events after this one."""
        self._ctx.panel.state.set(key, value)

    def move(self, eps: float | None) -> None:
        """Move the threshold, None to the measured one, and the slider with it."""
        self.set(EPS, self.scale.clip(eps) if self.swept and eps is not None else None)
        self.set(MOVES, self.moves + 1)
