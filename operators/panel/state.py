"""What a person has brought the panel to, as its browser tab remembers it and sends it with every event."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...similarity.steps.overview import Overview
from ...similarity.steps.sweep import SweepResult, Threshold

RUN, FIELD, PRICE = "choices.run", "choices.field", "numbers.below.price"
FOUND, SWEPT, EPS, MOVES = "found", "swept", "eps", "moves"


@dataclass(frozen=True)
class PanelState:
    """The state, read once an event.

    Attributes:
        run_key, field: chosen; None before the first look
        price: of a picture; 0 if none is given
        eps: the chosen threshold; None = the measured one
        moves: how often the threshold was moved otherwise than by the slider
        swept: key of the sweep that is shown; None if there is none
        found: what was seen at the last look
    """

    run_key: str | None
    field: str | None
    price: float
    eps: float | None
    moves: int
    swept: str | None
    found: Overview | None

    @classmethod
    def of(cls, panel: Any) -> "PanelState":
        """Read it from ``ctx.panel``."""
        get = panel.state.get
        found = get(FOUND)
        return cls(
            run_key=get(RUN),
            field=get(FIELD),
            price=float(get(PRICE) or 0),
            eps=get(EPS),
            moves=get(MOVES) or 0,
            swept=get(SWEPT),
            found=Overview.of(found) if found else None,
        )


def slider(moves: int) -> str:
    """Name of the slider, a new one after each move: a slider keeps the place that it was first drawn at."""
    return f"slider_{moves}"


@dataclass(frozen=True)
class Scale:
    """The axis of thresholds, logarithmic, from just below the first merge to just above the last.

    Attributes:
        low, high: eps at its ends
    """

    low: float
    high: float

    @classmethod
    def of(cls, curve: list[Threshold]) -> "Scale":
        """The scale for a sweep's curve."""
        merges = [threshold.eps for threshold in curve[1:]] or [curve[0].eps]
        return cls(merges[0] / 1.6, merges[-1] * 1.25)

    def clip(self, eps: float) -> float:
        """The nearest eps on the scale."""
        return min(max(eps, self.low), self.high)

    def place(self, eps: float) -> float:
        """Where an eps is, 0 to 100."""
        return 100 * math.log(self.clip(eps) / self.low) / math.log(self.high / self.low)

    def at(self, place: float) -> float:
        """The eps at a place."""
        return self.low * (self.high / self.low) ** (min(max(place, 0.0), 100.0) / 100)


def start(swept: SweepResult) -> float:
    """Return the threshold to begin with: the measured one; where none is known, the middle of the scale."""
    return Scale.of(swept.curve()).at(50) if swept.eps is None else swept.eps


@dataclass(frozen=True)
class Shown:
    """All that the panel draws.

    Attributes:
        events: the panel, whose methods are what buttons call
        state: what a person has brought it to
        found: what was seen at the last look
        swept: what every threshold gives; None if nobody looked yet
        files_of: sample ids -> ``{id: file}``
    """

    events: Any
    state: PanelState
    found: Overview
    swept: SweepResult | None
    files_of: Callable[[list[str]], dict[str, str]]

    @property
    def eps(self) -> float:
        """The threshold that the panel talks about; there must be a sweep."""
        return start(self.swept) if self.state.eps is None else self.state.eps
