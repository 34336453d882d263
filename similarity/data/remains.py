"""Everything in a dataset that a run wrote, recognised by itself: FiftyOne can delete or rename the record of a run."""

import re
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo

from . import locks, runs, saved_views
from . import samples as sm
from .names import Names
from .seals import json_digest


@dataclass(frozen=True)
class Remains:
    """What there is of a run.

    Attributes:
        written_as: the key that it was written under, by which its parts are named
        records: keys of its run records; none where FiftyOne's ``delete_run`` took it, another one after ``rename_run``
        fields, views: their names
        tags: tag -> number of samples
    """

    written_as: str
    records: list[str]
    fields: list[str]
    views: list[str]
    tags: dict[str, int]

    def digest(self, dataset: fo.Dataset) -> str:
        """A digest that changes when the run is done again, or something of it is gone."""
        return json_digest([asdict(self), [runs.load(dataset, key) for key in self.records]])


def find(dataset: fo.Dataset, run_key: str) -> Remains:
    """What there is of a run, under the key of its record or the key that it was written under.

    Raises:
        ValueError: if there is nothing, or the run is not one of ours
    """
    if not dataset.has_run(run_key):
        renamed = [key for key in runs.keys(dataset) if runs.written_as(dataset, key) == run_key]
        return _refuse_nothing(dataset, run_key, Remains(run_key, renamed, **_parts(dataset, run_key)))
    written_as = runs.written_as(dataset, run_key)
    if written_as != run_key and dataset.has_run(written_as):  # made anew, and the parts are the new one's
        return Remains(written_as, [run_key], [], [], {})
    return Remains(written_as, [run_key], **_parts(dataset, written_as))


def delete(dataset: fo.Dataset, remains: Remains) -> None:
    """Take it off the dataset; the record last, so that a killed deletion can be done again."""
    names = Names(remains.written_as)
    runs.clear(dataset, remains.written_as, remains.fields, names.tags, remains.views)
    for key in remains.records:
        locks.check()
        dataset.delete_run(key)


def _parts(dataset: fo.Dataset, written_as: str) -> dict[str, Any]:
    names = Names(written_as)
    tags = sm.everything(dataset).count_sample_tags()
    return {
        "fields": [name for name in names.fields if runs.owns_field(dataset, written_as, name)],
        "views": [name for name in saved_views.marked(dataset, names.mark) if name in names.views],
        "tags": {tag: number for tag, number in sorted(tags.items()) if re.fullmatch(names.tags, tag)},
    }


def _refuse_nothing(dataset: fo.Dataset, run_key: str, found: Remains) -> Remains:
    if not (found.records or found.fields or found.views or found.tags):
        runs.load(dataset, run_key)
    return found
