"""Operators that take duplicates away, and bring them back."""

from ..similarity.options import QuarantineOptions, RemoveOptions, RestoreMediaOptions, RestoreOptions
from ..similarity.steps.quarantine import quarantine
from ..similarity.steps.remove import remove
from ..similarity.steps.restore import restore
from ..similarity.steps.restore_media import restore_media
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


class QuarantineMedia(StepOperator):
    """Move the files of removed samples aside on disk; deletes nothing, and shows the plan first."""

    name = "quarantine_media"
    label = "Quarantine media"
    icon = "move_to_inbox"
    options = QuarantineOptions
    step = staticmethod(quarantine)
    risk = "high"
    targets = False


class RestoreMedia(StepOperator):
    """Move quarantined files back to where they were."""

    name = "restore_media"
    label = "Restore media"
    icon = "unarchive"
    options = RestoreMediaOptions
    step = staticmethod(restore_media)
    risk = "medium"
    targets = False
