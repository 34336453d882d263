"""Operators on a whole run."""

from ..similarity.options import DeleteRunOptions
from ..similarity.steps.delete_run import delete_run
from .base import StepOperator


class DeleteRun(StepOperator):
    """Take a run's fields, tags, saved views and record off; shows the plan first, and deletes no sample."""

    name = "delete_run"
    label = "Delete run"
    icon = "delete_sweep"
    options = DeleteRunOptions
    step = staticmethod(delete_run)
    risk = "medium"
    targets = False
