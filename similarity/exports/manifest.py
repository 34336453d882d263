"""The manifest of a run: one row a sample, whatever became of it, and one row a cluster."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import fiftyone as fo
from bson import ObjectId
from bson.errors import InvalidId

from ..data import decisions, runs
from ..data import samples as sm
from ..data.files import with_names
from ..data.frames import FRAME, SECONDS, VIDEO
from ..engine.clusters import NOISE
from ..result import count
from ..workflow import CLUSTER, KEEP

NAME = "manifest.csv"
KEPT, DROPPED, SKIPPED, UNDECIDED = "kept", "dropped", "skipped", "undecided"
BY_HAND = "kept by hand"
RESEMBLES = "near-duplicate of a reference sample"


@dataclass(frozen=True, slots=True)
class Row:
    """The fate of one sample.

    Attributes:
        id, filepath: of the sample
        cluster: number of its cluster; -1 = noise, None = skipped
        kept_id: id of the kept, or reference, sample that stands for it, a kept one's own; None where none is decided
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
class Cluster:
    """One cluster: its number, its members in the order of the rows, and those of them that are kept."""

    number: int
    members: list[Row]

    @property
    def kept(self) -> list[Row]:
        """The kept members; empty before the keep step."""
        return [row for row in self.members if row.status == KEPT]


def read(samples: sm.Samples, run_key: str, decided: bool = True) -> list[Row]:
    """Return a row for each sample that is not of the run's reference, in the order that decides who is first.

    Args:
        samples: a flat collection
        run_key: a run whose cluster step is done
        decided (True): whether its keep step is done too; without, no row is kept or dropped

    Raises:
        ValueError: if a dropped sample's kept one is not in the dataset any more, somebody has cleared values of the run, a
            person has decided since to keep a dropped sample, or all are of the reference
    """
    if decided:
        decisions.require_heeded(sm.dataset_of(samples), run_key)
    names, results = runs.Names(run_key), runs.load_results(sm.dataset_of(samples), run_key)
    # Not samples that were merged in from a dataset with a run of the same key.
    members = set(runs.step_results(sm.dataset_of(samples), run_key, CLUSTER)["ids"])
    reasons = {i: reason for step in results.values() for i, reason in step.get("skipped", {}).items()}
    chosen = set(results.get(KEEP.name, {}).get("chosen", ()))
    reference = runs.reference_ids(sm.dataset_of(samples), run_key)
    columns = (names.kept, names.kept_id, names.similarity) if decided else ()
    rows = []
    for sample_id, path, cluster, *decision in zip(
        *sm.read(samples, "filepath", names.cluster, *columns), strict=True
    ):
        if sample_id in reference:
            continue
        kept, kept_id, similarity = decision or (None, None, None)
        status, reason = _verdict(cluster if sample_id in members else None, kept, decided)
        if status == KEPT and sample_id in chosen:
            reason = BY_HAND
        if status == SKIPPED:
            rows.append(Row(sample_id, path, None, None, None, status, reasons.get(sample_id, reason)))
        else:
            reason = RESEMBLES if status == DROPPED and kept_id in reference else reason
            rows.append(Row(sample_id, path, cluster, kept_id, similarity, status, reason))
    if not rows:
        raise ValueError(
            f"All of these samples are in the reference of the run {run_key!r}: choose the dataset, or a view with new ones"
        )
    _check_values(rows, run_key)
    needed = {row.kept_id for row in rows if row.status == DROPPED}
    _check_kept_ones(sm.dataset_of(samples), names, needed, reference)
    return rows


def _check_values(rows: Iterable[Row], run_key: str) -> None:
    """Refuse kept and dropped samples without the values that the run gave them."""
    decided = [row for row in rows if row.status in (KEPT, DROPPED)]
    cleared = [row.id for row in decided if row.kept_id is None or row.similarity is None]
    if cleared:
        raise ValueError(
            f"Values of the run {run_key!r} were cleared ({count(len(cleared), 'sample')}, e.g. {cleared[0]}): run "
            "keep_first_per_cluster again"
        )


def _check_kept_ones(
    dataset: fo.Dataset, names: runs.Names, needed: set[str | None], reference: set[str]
) -> None:
    """Refuse dropped samples whose kept one is not there."""
    everything = sm.everything(dataset)
    gone = needed and needed.difference(sm.where(everything, names.kept, True).values("id"))
    if gone & reference:
        gone = gone - (reference & set(everything.exists(names.cluster).values("id")))
    if gone:
        raise ValueError(
            f"Kept samples of the run {names.run_key!r} are gone ({len(gone):,}, e.g. {min(gone)}), and dropped ones rely "
            "on them: run cluster_duplicates and keep_first_per_cluster again"
        )


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


def exported(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the pictures of an export; where it only names them, of the kept ones."""
    return [row for row in rows if row.exported] or [row for row in rows if row.status == KEPT]


def with_files(rows: Iterable[Row], files: Mapping[str, str]) -> list[Row]:
    """Return the rows with the files that were written: ``{sample id: file, relative to the folder}``."""
    return [replace(row, exported=files.get(row.id, "")) for row in rows]


def clusters(rows: Iterable[Row]) -> list[Cluster]:
    """Return the clusters among the rows, the largest first."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        if row.cluster not in (None, NOISE):
            found.setdefault(row.cluster, []).append(row)
    return sorted((Cluster(*item) for item in found.items()), key=lambda c: (-len(c.members), c.number))


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many samples there are in all and of each status."""
    found = Counter(row.status for row in rows)
    return {"samples": len(rows)} | {status: found[status] for status in (KEPT, DROPPED, SKIPPED, UNDECIDED)}


def skipped(samples: sm.Samples, rows: Iterable[Row]) -> dict[str, dict[str, str]]:
    """Return, of the skipped samples, the reasons by id as ``skipped`` and the first ones' names as ``files``."""
    return with_names(sm.dataset_of(samples), {row.id: row.reason for row in rows if row.status == SKIPPED})


def write(rows: Iterable[Row], path: Path) -> None:
    """Write ``manifest.csv``: one line a sample."""
    columns = [field.name for field in fields(Row)]
    write_csv(path, columns, ([_cell(getattr(row, name)) for name in columns] for row in rows))


def load(folder: Path) -> list[Row]:
    """Return the rows of the manifest in a folder.

    Raises:
        ValueError: if there is none, or it cannot be read; the message names it
    """
    path = folder / NAME
    if not path.is_file():
        raise ValueError(f"{folder} holds no {NAME}: name the folder that export_deduplicated wrote")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [_row(**line) for line in csv.DictReader(file)]
    except (TypeError, KeyError, ValueError, InvalidId, csv.Error) as error:
        raise ValueError(f"{path} is no manifest of OnlyOne's: {error}") from error


def _row(cluster: str, kept_id: str, similarity: str, **texts: str) -> Row:
    ObjectId(texts["id"])
    return Row(
        cluster=int(cluster) if cluster else None,
        kept_id=kept_id or None,
        similarity=float(similarity) if similarity else None,
        **texts,
    )


def _cell(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def write_frames(samples: sm.Samples, rows: Iterable[Row], path: Path) -> None:
    """Write ``frames.csv``: one line a kept frame, in the order of the videos and of their time.

    Args:
        samples: frames that frames_from_videos made
    """
    ids, *columns = sm.read(samples, VIDEO, FRAME, SECONDS)
    told = dict(zip(ids, zip(*columns, strict=True), strict=True))
    kept = [(*told[row.id], row.exported or row.filepath) for row in rows if row.status == KEPT]
    lines = sorted(line for line in kept if None not in line)  # a sample that a person added is of no video
    write_csv(path, [VIDEO, FRAME, SECONDS, "picture"], lines)


def write_clusters(rows: Sequence[Row], facts: Mapping[str, Any], folder: Path) -> None:
    """Write ``clusters.csv`` and ``clusters.json``: number, size and members of each cluster.

    Args:
        facts: further entries of the JSON file: eps, options, versions ...
    """
    table = [
        {
            "cluster": cluster.number,
            "size": len(cluster.members),
            "kept": [row.id for row in cluster.kept],
            "members": [row.id for row in cluster.members],
        }
        for cluster in clusters(rows)
    ]
    write_csv(
        folder / "clusters.csv",
        ["cluster", "size", "kept", "members"],
        ([row["cluster"], row["size"], " ".join(row["kept"]), " ".join(row["members"])] for row in table),
    )
    noise = [row.id for row in rows if row.cluster == NOISE]
    head = {"clusters": len(table), "noise": len(noise), **counts(rows)}
    write_json({**head, **facts, "members": table, "noise_ids": noise}, folder / "clusters.json")


def write_json(value: Any, path: Path) -> None:
    """Write plain values as a JSON file that people can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a table. Texts are quoted: a carriage return in a file's name would begin a new line for a reader."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(header)
        writer.writerows(lines)
