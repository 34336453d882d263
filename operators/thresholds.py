"""Operators that help to choose a threshold."""

from ..similarity.options import SweepOptions
from ..similarity.steps.sweep import sweep
from .base import StepOperator


class SweepThresholds(StepOperator):
    """What every threshold would keep; changes nothing in the dataset."""

    name = "sweep_thresholds"
    label = "Sweep thresholds"
    icon = "show_chart"
    options = SweepOptions
    step = staticmethod(sweep)
