"""A run that is begun anew on other samples loses those that are not among them: only where somebody confirmed it."""

import fiftyone as fo

from ..data import runs
from ..data import samples as sm
from ..data.batch import reference_of
from ..data.seals import json_digest
from ..options import WriteRunOptions
from ..result import count


class WouldShrink(ValueError):
    """Samples of the run are not among those asked for, and would leave it; nothing was written.

    Args:
        message: how many, and the remedy
        plan: name of what would be lost
        lost: ids of the samples that would leave the run
    """

    def __init__(self, message: str, plan: str, lost: list[str]):
        super().__init__(message)
        self.plan = plan
        self.lost = lost


def count_undecided(samples: fo.core.collections.SampleCollection, run_key: str) -> int:
    """Count the samples with a decision of the run that are not among these: deciding about these takes it away."""
    dataset, field = sm.dataset_of(samples), runs.Names(run_key).kept
    if not runs.owns_field(dataset, run_key, field):
        return 0
    return sm.everything(dataset).exists(field).count() - sm.flat(samples).exists(field).count()


def refuse_shrinking(samples: fo.core.collections.SampleCollection, options: WriteRunOptions) -> None:
    """Refuse to take samples out of a run that nobody confirmed to be lost.

    Raises:
        WouldShrink: if samples of the run are not among ``samples``, and ``confirm`` is off
        ValueError: if it is on, and the ``plan`` that was looked at is another one; or if the reference does not do
    """
    dataset, run_key, field = sm.dataset_of(samples), options.run_key, runs.Names(options.run_key).cluster
    if not runs.owns_field(dataset, run_key, field):
        return
    members = sm.everything(dataset).exists(field).values("id")
    stay, reference = set(sm.flat(samples).values("id")), getattr(options, "reference", None)
    if reference is not None:
        stay.update(reference_of(dataset, reference, run_key).values("id"))
    lost = sorted(set(members) - stay)
    plan = json_digest({"run_key": run_key, "lost": lost})
    if lost and not options.confirm:
        where = "this view" if reference is None else "this view or the reference"
        raise WouldShrink(
            f"Of the {count(len(members), 'sample')} of the run {run_key!r}, "
            f"{count(len(lost), 'is outside of', 'are outside of')} {where} and would leave the run, with cluster and "
            "decision. Take the whole dataset, choose another run_key, or confirm it "
            "(confirm=True)",
            plan,
            lost,
        )
    if lost and options.plan not in (None, plan):
        raise ValueError(
            f"The run {run_key!r} would lose other samples than in the plan {options.plan!r} that was shown, so nothing was "
            "changed: look at the new plan first"
        )
