"""The true groups of a run's samples, beside the clusters that the run found."""

from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.labels as fol
import numpy as np

from .data import runs
from .data import samples as sm
from .engine import evaluation as ev
from .engine.clusters import NOISE
from .engine.evaluation import UNKNOWN


@dataclass(frozen=True)
class Group:
    """A true group: in how many clusters it lies (a sample unlike any other is one), and how many of it are kept."""

    name: str
    size: int
    pieces: int
    kept: int


@dataclass(frozen=True)
class MixedCluster:
    """A cluster of several true groups: group -> samples, the most first."""

    number: int
    size: int
    groups: dict[str, int]


@dataclass(frozen=True)
class Truth:
    """Every sample of a run, in the order that decides who is first.

    Attributes:
        ids: the samples
        labels: ``(n,)`` the run's cluster of each
        groups: ``(n,)`` the number of its true group; unknown where it has none or was not asked for
        names: the name of each group
        kept: ``(n,)`` whether the run keeps it; the first of each cluster where that was not decided yet
        without_group: number of the samples asked for that have none
        not_in_run: number of the samples asked for that the run does not have
    """

    ids: list[str]
    labels: np.ndarray
    groups: np.ndarray
    names: list[str]
    kept: np.ndarray
    without_group: int
    not_in_run: int

    def name(self, row: int) -> str:
        """The true group of a sample that has one."""
        return self.names[int(self.groups[row])]

    def described(self) -> list[Group]:
        """Every group, the largest first."""
        known, number = self.groups != UNKNOWN, len(self.names)
        size = np.bincount(self.groups[known], minlength=number)
        kept = np.bincount(self.groups[known & self.kept], minlength=number)
        columns = (size.tolist(), ev.pieces(self.labels, self.groups).tolist(), kept.tolist())
        found = [Group(*row) for row in zip(self.names, *columns, strict=True)]
        return sorted(found, key=lambda group: (-group.size, group.name))

    def mixed(self) -> list[MixedCluster]:
        """The clusters of several groups, the largest first."""
        found = ev.mixed(self.labels, self.groups)
        return [
            MixedCluster(number, sum(groups.values()), {self.names[g]: n for g, n in groups.items()})
            for number, groups in found.items()
        ]


def read(samples: fo.core.collections.SampleCollection, field: str, run_key: str) -> Truth:
    """Read the true groups of a collection, and the run's clusters.

    Raises:
        ValueError: if the field does not do, or no sample has both a true group and a cluster
    """
    names = runs.Names(run_key)
    asked = dict(zip(*sm.read(samples, _path(samples, field)), strict=True))
    members = sm.everything(samples._dataset).exists(names.cluster)
    ids, clusters = sm.read(members, names.cluster)
    labels = np.array(clusters, dtype=np.int64)
    found = [asked.get(sample_id) for sample_id in ids]
    groups, group_names = ev.number([None if group is None else str(group) for group in found])
    if not group_names:
        raise ValueError(
            f"No sample of the run {run_key!r} here has a value in {field!r}: write there which group each sample "
            "truly belongs to"
        )
    return Truth(
        ids=ids,
        labels=labels,
        groups=groups,
        names=group_names,
        kept=_kept(members, names, labels),
        without_group=sum(i in asked and g == UNKNOWN for i, g in zip(ids, groups.tolist(), strict=True)),
        not_in_run=len(asked.keys() - set(ids)),
    )


def candidates(samples: fo.core.collections.SampleCollection) -> list[str]:
    """Names of the fields that can hold true groups, those that OnlyOne wrote left out."""
    names = samples.get_field_schema()
    return [name for name in names if _suits(samples, name) and not sm.provenance(samples, name)]


def _suits(samples: fo.core.collections.SampleCollection, name: str) -> bool:
    try:
        _path(samples, name)
    except ValueError:
        return False
    return name != "filepath"


def _kept(members: fo.DatasetView, names: runs.Names, labels: np.ndarray) -> np.ndarray:
    if members.has_sample_field(names.kept):
        return np.array([bool(value) for value in sm.read(members, names.kept)[1]], dtype=bool)
    kept: np.ndarray = labels == NOISE
    kept[np.unique(labels, return_index=True)[1]] = True
    return kept


def _path(samples: fo.core.collections.SampleCollection, name: str) -> str:
    """The path of the groups' names."""
    field = samples.get_field(name)
    if isinstance(field, fof.EmbeddedDocumentField) and issubclass(field.document_type, fol.Classification):
        return f"{name}.label"
    if isinstance(field, fof.StringField | fof.IntField):
        return name
    problem = "does not exist" if field is None else f"is a {type(field).__name__}"
    raise ValueError(
        f"The field {name!r} {problem}: name one that holds a text, a whole number or a classification for each "
        "sample, the same for all samples of a group"
    )
