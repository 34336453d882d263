"""The manifest of a run: one row a sample, whatever became of it, and one row a cluster."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..data import runs
from ..data import samples as sm
from ..engine.clusters import NOISE

KEPT, DROPPED, SKIPPED, UNDECIDED = "kept", "dropped", "skipped", "undecided"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one sample.

    Attributes:
        id, filepath: of the sample
        cluster: number of its cluster; -1 = noise, None = not in the run
        kept_id: id of the kept sample that stands for it, a kept one's own; None where none is decided
        similarity: in percent, to that sample
        status: ``"kept"``, ``"dropped"``, ``"skipped"``, or ``"undecided"`` before the keep step
        reason: why, in words
        exported: its file in the folder that was written, relative to it; empty if there is none
    """

    id: str
    filepath: str
    cluster: int | None
    kept_id: str | None
    similarity: float | None
    status: str
    reason: str
    exported: str = ""


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One cluster: its number, its members in the order of the rows, and those of them that are kept."""

    number: int
    members: list[Row]

    @property
    def kept(self) -> list[Row]:
        """The kept members; empty before the keep step."""
        return [row for row in self.members if row.status == KEPT]


def read(samples: fo.core.collections.SampleCollection, run_key: str, decided: bool = True) -> list[Row]:
    """A row for each sample, in the order that decides who is first.

    Args:
        samples: a flat collection
        run_key: a run whose cluster step is done
        decided (True): whether its keep step is done too; without, no row is kept or dropped

    Raises:
        ValueError: if a dropped sample's kept one is not in the dataset any more
    """
    names, dataset = runs.Names(run_key), samples._dataset
    results = runs.load_results(dataset, run_key)
    ids, paths, clusters = sm.read(samples, "filepath", names.cluster)
    clusters = _of_the_run(ids, clusters, results)
    if decided:
        _, kept, kept_ids, similarities = sm.read(samples, names.kept, names.kept_id, names.similarity)
        dropped = [c is not None and k is False for c, k in zip(clusters, kept, strict=True)]
        _check_kept_ones(dataset, names, [i for i, d in zip(kept_ids, dropped, strict=True) if d])
    else:
        kept = kept_ids = similarities = [None] * len(ids)
    reasons = _reasons(results)
    columns = zip(ids, paths, clusters, kept, kept_ids, similarities, strict=True)
    return [_row(*column, decided, reasons) for column in columns]


def _check_kept_ones(dataset: fo.Dataset, names: runs.Names, needed: Sequence[str]) -> None:
    """Nothing may stand for a dropped sample but a sample that is there."""
    everything = sm.everything(dataset)
    gone = set(needed) - set(everything.match(fo.ViewField(names.kept) == True).values("id"))  # noqa: E712
    if gone:
        raise ValueError(
            f"Kept samples of the run {names.run_key!r} are gone ({len(gone):,}, e.g. {min(gone)}), and dropped ones rely "
            "on them: run cluster_duplicates and keep_first_per_cluster again"
        )


def _of_the_run(
    ids: Sequence[str], clusters: Sequence[int | None], results: Mapping[str, Any]
) -> list[int | None]:
    """The cluster of each sample; None for samples merged in from a dataset with a run of the same key."""
    members = set(results["cluster"]["ids"])
    return [number if i in members else None for i, number in zip(ids, clusters, strict=True)]


def _reasons(results: Mapping[str, Any]) -> dict[str, str]:
    return {i: reason for step in results.values() for i, reason in step.get("skipped", {}).items()}


def _row(
    sample_id: str,
    path: str,
    cluster: int | None,
    kept: bool | None,
    kept_id: str | None,
    similarity: float | None,
    decided: bool,
    reasons: Mapping[str, str],
) -> Row:
    status, reason = _verdict(cluster, kept, decided)
    if status == SKIPPED:
        return Row(sample_id, path, cluster, None, None, status, reasons.get(sample_id, reason))
    return Row(sample_id, path, cluster, kept_id, similarity, status, reason)


def _verdict(cluster: int | None, kept: bool | None, decided: bool) -> tuple[str, str]:
    if cluster is None:
        return SKIPPED, "not in the run: run cluster_duplicates again"
    if not decided:
        return UNDECIDED, "resembles no other sample" if cluster == NOISE else "in a cluster"
    if kept is None:
        return SKIPPED, "was not among the samples of keep_first_per_cluster"
    if not kept:
        return DROPPED, "near-duplicate of a kept sample"
    return KEPT, "resembles no other sample" if cluster == NOISE else "kept for its cluster"


def with_files(rows: Iterable[Row], exported: Mapping[str, str]) -> list[Row]:
    """The rows with the files that were written: ``{sample id: file, relative to the folder}``."""
    return [replace(row, exported=exported.get(row.id, "")) for row in rows]


def clusters(rows: Iterable[Row]) -> list[ClusterRow]:
    """The clusters among the rows, the largest first."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        if row.cluster is not None and row.cluster != NOISE and row.status != SKIPPED:
            found.setdefault(row.cluster, []).append(row)
    return sorted((ClusterRow(*item) for item in found.items()), key=lambda c: (-len(c.members), c.number))


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many samples there are in all and of each status."""
    found = dict.fromkeys(("samples", KEPT, DROPPED, SKIPPED, UNDECIDED), 0)
    for row in rows:
        found[row.status] += 1
        found["samples"] += 1
    return found


def skipped(rows: Iterable[Row]) -> dict[str, dict[str, str]]:
    """Of the skipped samples, by id, the reasons as ``skipped`` and the files as ``files``."""
    found = [row for row in rows if row.status == SKIPPED]
    return {
        "skipped": {row.id: row.reason for row in found},
        "files": {row.id: row.filepath for row in found},
    }


def write(rows: Iterable[Row], path: Path) -> None:
    """Write ``manifest.csv``: one line a sample."""
    names = [field.name for field in fields(Row)]
    _write_csv(path, names, ([_cell(getattr(row, name)) for name in names] for row in rows))


def write_clusters(rows: Sequence[Row], facts: Mapping[str, Any], folder: Path) -> None:
    """Write ``clusters.csv`` and ``clusters.json``: number, size and members of each cluster.

    Args:
        facts: what the JSON file says beside: eps, options, versions ...
    """
    found = clusters(rows)
    table = [
        {
            "cluster": cluster.number,
            "size": len(cluster.members),
            "kept": [row.id for row in cluster.kept],
            "members": [row.id for row in cluster.members],
        }
        for cluster in found
    ]
    _write_csv(
        folder / "clusters.csv",
        ["cluster", "size", "kept", "members"],
        ([row["cluster"], row["size"], " ".join(row["kept"]), " ".join(row["members"])] for row in table),
    )
    noise = [row.id for row in rows if row.cluster == NOISE and row.status != SKIPPED]
    head = {"clusters": len(found), "noise": len(noise), **counts(rows)}
    write_json({**head, **facts, "members": table, "noise_ids": noise}, folder / "clusters.json")


def write_json(value: Any, path: Path) -> None:
    """Write plain values as a JSON file that people can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _cell(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _write_csv(path: Path, header: list[str], lines: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        # Quoted whatever they hold: a carriage return in a file's name would begin a new line for a reader.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(header)
        writer.writerows(lines)
