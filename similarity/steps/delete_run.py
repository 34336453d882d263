"""Take a run off a dataset: its fields, tags, saved views and record."""

import contextlib
import re
from dataclasses import dataclass
from typing import Any

import fiftyone as fo

from ..data import archive, locks, runs, saved_views
from ..data import samples as sm
from ..data.locks import lock
from ..data.seals import json_digest
from ..handover_options import DeleteRunOptions
from ..progress import Progress, silent
from ..result import Result, count
from .map import is_ours
from .plans import require_same


@dataclass(frozen=True, kw_only=True)
class DeleteRunResult(Result):
    """The names that ``delete_run`` took off, or would take off.

    Attributes:
        run_key: the run
        plan: name of the plan: the same as long as the run is not done again
        confirmed: whether it was carried out; else nothing was changed
        written_as: the key in the names of its fields, tags and views; another one where FiftyOne renamed the run
        records: keys of its records; none where FiftyOne deleted it
        fields, views, maps: their names
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
    maps: list[str]
    tags: dict[str, int]
    archived: int
    archive: str | None

    def summary(self) -> str:
        """Return the result in words."""
        did = "was deleted" if self.confirmed else "would be deleted"
        parts = [
            count(len(self.fields), "field"),
            count(len(self.views), "saved view"),
            count(len(self.tags), "tag"),
            count(len(self.maps), "map"),
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
        """Return every name that goes."""
        kinds = {"field": self.fields, "saved view": self.views, "map": self.maps, "record": self.records}
        rows = [{"name": name, "kind": kind} for kind, names in kinds.items() for name in names]
        tags = [{"name": tag, "kind": f"tag of {count(n, 'sample')}"} for tag, n in self.tags.items()]
        return {"run": rows + tags}


def delete_run(
    samples: sm.Samples, options: DeleteRunOptions, progress: Progress = silent
) -> DeleteRunResult:
    """Plan the deletion of a run or, if confirmed, carry it out.

    FiftyOne can delete or rename the record of a run, so its parts are recognised by themselves. The archive of its removed
    samples is never touched.

    Raises:
        ValueError: if there is no such run, it is not one of ours, or it was done again since the plan
        Busy: if another operator is at work on the run
    """
    dataset, run_key = sm.dataset_of(samples), options.run_key
    with contextlib.ExitStack() as held:
        held.enter_context(lock(dataset, f"run-{run_key}"))
        progress("Looking at the run", 0, 2)
        written_as = runs.written_as(dataset, run_key) if dataset.has_run(run_key) else run_key
        if written_as != run_key:
            held.enter_context(lock(dataset, f"run-{written_as}"))
        held.enter_context(lock(dataset, f"brain-{runs.Names(written_as).map}"))
        result = _find(dataset, options, written_as)
        require_same(options.plan, result.plan, f"The run {run_key!r} has changed", "deleted")
        if options.confirm:
            progress("Deleting the run", 1, 2)
            runs.clear(dataset, written_as, result.fields, runs.Names(written_as).tags, result.views)
            for key in result.maps:
                locks.check()
                dataset.delete_brain_run(key)
            for key in result.records:  # last, so that a killed deletion can be done again
                locks.check()
                dataset.delete_run(key)
        return result


def _find(dataset: fo.Dataset, options: DeleteRunOptions, written_as: str) -> DeleteRunResult:
    """Find everything in a dataset that a run wrote."""
    run_key = options.run_key
    records = [run_key] if dataset.has_run(run_key) else runs.renamed(dataset, run_key)
    done_anew = written_as != run_key and dataset.has_run(written_as)  # the names are the new one's
    parts = _parts(dataset, written_as, done_anew)
    if not records and not any(parts.values()):
        runs.load(dataset, run_key)  # raises, and names the remedy
    found = archive.find(dataset, written_as)
    return DeleteRunResult(
        run_key=run_key,
        plan=json_digest([written_as, parts, {key: runs.load(dataset, key) for key in records}]),
        confirmed=options.confirm,
        written_as=written_as,
        records=records,
        **parts,
        archived=len(found.ids()) if found else 0,
        archive=found.name if found else None,
    )


def _parts(dataset: fo.Dataset, written_as: str, done_anew: bool) -> dict[str, Any]:
    if done_anew:
        return {"fields": [], "views": [], "maps": [], "tags": {}}
    names, tags = runs.Names(written_as), sm.everything(dataset).count_sample_tags()
    return {
        "fields": [name for name in names.fields if runs.owns_field(dataset, written_as, name)],
        "views": [name for name in saved_views.marked(dataset, names.mark) if name in names.views],
        "maps": [names.map] if is_ours(dataset, names.map) else [],
        "tags": {tag: number for tag, number in sorted(tags.items()) if re.fullmatch(names.tags, tag)},
    }
