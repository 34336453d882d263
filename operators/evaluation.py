"""The operator that holds a run's clusters against the truth."""

from ..similarity.options import EvaluateOptions
from ..similarity.steps.evaluate import evaluate
from .base import StepOperator


class EvaluateClusters(StepOperator):
    """How well clusters agree with a field of true groups, and which pairs they get wrong."""

    name = "evaluate_clusters"
    label = "Evaluate clusters"
    icon = "fact_check"
    options = EvaluateOptions
    step = staticmethod(evaluate)
