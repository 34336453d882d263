"""Take a run off a dataset: its fields, tags, saved views and record."""

from dataclasses import dataclass

import fiftyone as fo

from ..data import archive, remains
from ..data.locks import lock
from ..options import DeleteRunOptions
from ..progress import Report, silent
from ..result import Result, count


@dataclass(frozen=True, kw_only=True)
class DeleteRunResult(Result):
    """What ``delete_run`` took off, or would take off.

    Attributes:
        run_key: the run
        plan: name of the plan: the same as long as the run is not done again
        confirmed: whether it was carried out; else nothing was changed
        written_as: the key in the names of its fields, tags and views; another one where FiftyOne renamed the run
        records: keys of its records; none where FiftyOne deleted it
        fields, views: their names
        tags: tag -> number of samples
        archived: how many samples that the run left out are in its archive, and stay there
        archive: name of the archive dataset; None if there is none
    """

    run_key: str
    plan: str
    confirmed: bool
    written_as: str
    records: list[str]
    fields: list[str]
    views: list[str]
    tags: dict[str, int]
    archived: int
    archive: str | None

    def summary(self) -> str:
        """The result in words."""
        did = "was deleted" if self.confirmed else "would be deleted"
        parts = [
            count(len(self.fields), "field"),
            count(len(self.views), "saved view"),
            count(len(self.tags), "tag"),
            count(len(self.records), "record"),
        ]
        lines = [
            f"The run {self.run_key!r} {did}: {', '.join(parts[:-1])} and {parts[-1]}. Samples and files stay, and so does "
            "all that the run did not write."
        ]
        if self.archive is not None:
            lines.append(
                f"{count(self.archived, 'sample')} that it left out stay in the dataset {self.archive!r}: restore_removed "
                f"with run_key={self.written_as!r} brings them back."
            )
        if not self.confirmed:
            lines.append("Nothing has been changed. Confirm to delete it (confirm=True).")
        return "\n".join(lines)

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Every name that goes."""
        kinds = {"field": self.fields, "saved view": self.views, "record": self.records}
        rows = [{"name": name, "what": kind} for kind, names in kinds.items() for name in names]
        tags = [{"name": tag, "what": f"tag of {count(n, 'sample')}"} for tag, n in self.tags.items()]
        return {"run": rows + tags}


def delete_run(
    samples: fo.core.collections.SampleCollection, options: DeleteRunOptions, report: Report = silent
) -> DeleteRunResult:
    """Plan the deletion of a run or, if confirmed, carry it out.

    The archive of its removed samples is never touched.

    Raises:
        ValueError: if there is no such run, it is not one of ours, or it was done again since the plan
        Busy: if another operator is at work on the run
    """
    dataset = samples._dataset
    with lock(dataset, f"run-{options.run_key}"):
        report("Looking at the run", 0, 2)
        found = remains.find(dataset, options.run_key)
        if found.written_as == options.run_key:
            return _delete(dataset, options, found, report)
        with lock(dataset, f"run-{found.written_as}"):
            return _delete(dataset, options, found, report)


def _delete(
    dataset: fo.Dataset, options: DeleteRunOptions, found: remains.Remains, report: Report
) -> DeleteRunResult:
    plan = found.digest(dataset)
    if options.plan is not None and options.plan != plan:
        raise ValueError(
            f"The run {options.run_key!r} has changed since the plan {options.plan} was shown, so nothing was deleted: look "
            "at the new plan first"
        )
    archived = archive.find(dataset, found.written_as)
    if options.confirm:
        report("Deleting the run", 1, 2)
        remains.delete(dataset, found)
    return DeleteRunResult(
        run_key=options.run_key,
        plan=plan,
        confirmed=options.confirm,
        written_as=found.written_as,
        records=found.records,
        fields=found.fields,
        views=found.views,
        tags=found.tags,
        archived=len(archived.ids()) if archived else 0,
        archive=archived.name if archived else None,
    )
