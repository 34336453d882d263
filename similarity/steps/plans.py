"""Plans: names for a loss, and the refusal of one that was not confirmed or not shown."""

from ..data import runs
from ..data import samples as sm
from ..data.batch import reference_of
from ..data.seals import json_digest
from ..options import WriteRunOptions
from ..result import count


class Unconfirmed(ValueError):
    """The step would take something away, and nobody confirmed it; nothing was written.

    Args:
        message: how much, and the remedy
        plan: name of the loss
        lost: ids of the samples that it is about
    """

    def __init__(self, message: str, plan: str, lost: list[str]):
        super().__init__(message)
        self.plan = plan
        self.lost = lost


def require_same(shown: str | None, plan: str, changed: str, undone: str = "changed") -> None:
    """Refuse another plan than the one that was shown; None where none was.

    Raises:
        ValueError: if it is another one; ``changed`` says why, and ``undone`` names the step's work ("removed")
    """
    if shown not in (None, plan):
        raise ValueError(
            f"{changed} since the plan {shown!r} was shown, so nothing was {undone}: look at the new plan first"
        )


def count_undecided(samples: sm.Samples, run_key: str) -> int:
    """Count the samples with a decision of the run that are not among these: deciding about these takes it away."""
    dataset, field = sm.dataset_of(samples), runs.Names(run_key).kept
    if not runs.owns_field(dataset, run_key, field):
        return 0
    return sm.everything(dataset).exists(field).count() - sm.flat(samples).exists(field).count()


def refuse_shrinking(samples: sm.Samples, options: WriteRunOptions) -> None:
    """Refuse to take samples out of a run that nobody confirmed to be lost.

    Raises:
        Unconfirmed: if samples of the run are not among ``samples``, and ``confirm`` is off
        ValueError: if it is on, and the ``plan`` that was looked at is another one; or if the reference cannot be used
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
        raise Unconfirmed(
            f"Of the {count(len(members), 'sample')} of the run {run_key!r}, "
            f"{count(len(lost), 'is outside of', 'are outside of')} {where} and would leave the run, with cluster and "
            "decision. Take the whole dataset, choose another run_key, or confirm it "
            "(confirm=True)",
            plan,
            lost,
        )
    if lost:
        require_same(options.plan, plan, f"The samples that the run {run_key!r} would lose have changed")
