"""Operators that take duplicates away, and bring them back."""

from ..similarity.options import RemoveOptions, RestoreOptions
from ..similarity.steps.remove import remove
from ..similarity.steps.restore import restore
from .base import StepOperator


class RemoveDuplicates(StepOperator):
    """Take what a run left out of the dataset, into an archive dataset; shows the plan first."""

    name = "remove_duplicates"
    label = "Remove duplicates"
    icon = "layers_clear"
    options = RemoveOptions
    step = staticmethod(remove)
    risk = "high"
    opens_view = True


class RestoreRemoved(StepOperator):
    """Bring removed samples back as they were: all of them, or those selected in the archive dataset."""

    name = "restore_removed"
    label = "Restore removed"
    icon = "restore"
    options = RestoreOptions
    step = staticmethod(restore)
    risk = "medium"
    targets = False
    selects = True
    opens_view = True
