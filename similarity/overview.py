"""What the panel shows of a dataset and a run: one payload, from the run's record and from the samples themselves."""

from dataclasses import dataclass
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from . import runs
from . import samples as sm

DONE, STALE, MISSING = "done", "stale", "missing"
LARGEST = 20
WORST = 6
ALWAYS_CHECKED = (
    20_000  # samples whose vectors are compared with the run's digest at every look: under a second
)


@dataclass(frozen=True)
class StepState:
    """How far one operator's work is: ``"done"``, ``"stale"`` or ``"missing"``, and why."""

    operator: str
    state: str
    text: str


@dataclass(frozen=True)
class ClusterRow:
    """One cluster of the table: its kept samples, and how far its members are from them."""

    number: int
    size: int
    kept: int | None
    kept_id: str | None
    spread: float | None
    worst_similarity: float | None


@dataclass(frozen=True)
class PairRow:
    """A dropped sample beside its kept one."""

    id: str
    kept_id: str
    similarity: float


@dataclass(frozen=True)
class Overview:
    """All that is known about one run of a dataset.

    Attributes:
        run_key, embeddings_field: what was asked for
        samples: samples of the run; None before clustering
        kept, dropped, skipped: counted from the samples; None before keeping
        clusters, noise, eps: of the clustering, None before it
        sizes: the sizes of all clusters, the largest first
        largest: the largest clusters
        worst: the dropped samples least similar to their kept one
        notes: warnings and notes of the last step
        steps: the operators in their order
    """

    run_key: str
    embeddings_field: str
    samples: int | None
    kept: int | None
    dropped: int | None
    skipped: int | None
    clusters: int | None
    noise: int | None
    eps: float | None
    sizes: list[int]
    largest: list[ClusterRow]
    worst: list[PairRow]
    notes: list[str]
    steps: list[StepState]


def overview(dataset: fo.Dataset, run_key: str, embeddings_field: str) -> Overview:
    """Look at a dataset and a run."""
    record = runs.load(dataset, run_key) if run_key in runs.keys(dataset) else {"steps": {}}
    results = runs.load_results(dataset, run_key) if record["steps"] else {}
    clustering = results.get("cluster") if _finished(record, "cluster") else None
    keeping = results.get("keep") if _finished(record, "keep") else None
    kept, dropped, skipped = _counts(dataset, run_key) if keeping else (None, None, None)
    return Overview(
        run_key=run_key,
        embeddings_field=embeddings_field,
        samples=clustering["samples"] if clustering else None,
        kept=kept,
        dropped=dropped,
        skipped=skipped,
        clusters=clustering["clusters"] if clustering else None,
        noise=clustering["noise"] if clustering else None,
        eps=clustering["eps"] if clustering else None,
        sizes=[cluster["size"] for cluster in clustering["members"]] if clustering else [],
        largest=_largest(clustering, keeping) if clustering else [],
        worst=[PairRow(p["id"], p["kept_id"], p["similarity"]) for p in keeping["worst"][:WORST]]
        if keeping
        else [],
        notes=_notes(clustering, keeping),
        steps=_steps(dataset, record, run_key, embeddings_field),
    )


def _finished(record: dict[str, Any], step: str) -> bool:
    return record["steps"].get(step, {}).get("state") == runs.DONE


def _counts(dataset: fo.Dataset, run_key: str) -> tuple[int, int, int]:
    """Kept, dropped and skipped, from the samples alone."""
    names, samples = runs.Names(run_key), sm.everything(dataset)
    values = samples.count_values(names.kept)
    return values.get(True, 0), values.get(False, 0), samples.match_tags(names.tag("skipped")).count()


def _notes(clustering: dict[str, Any] | None, keeping: dict[str, Any] | None) -> list[str]:
    if keeping:
        return [*keeping["warnings"], *keeping["notes"]]
    return list(clustering["warnings"]) if clustering else []


def _largest(clustering: dict[str, Any], keeping: dict[str, Any] | None) -> list[ClusterRow]:
    rows = clustering["members"][:LARGEST]
    if not keeping:
        return [ClusterRow(row["number"], row["size"], None, None, None, None) for row in rows]
    kept = set(keeping["kept_ids"])
    worst: dict[str, float] = {}
    for pair in keeping["duplicates"]:
        worst[pair["kept_id"]] = min(worst.get(pair["kept_id"], 100.0), pair["similarity"])
    return [_row(row, kept, worst, keeping["spreads"]) for row in rows]


def _row(
    row: dict[str, Any], kept: set[str], worst: dict[str, float], spreads: dict[str, float]
) -> ClusterRow:
    mine = [sample_id for sample_id in row["members"] if sample_id in kept]
    return ClusterRow(
        number=row["number"],
        size=row["size"],
        kept=len(mine),
        kept_id=mine[0] if mine else None,
        spread=spreads.get(str(row["number"])),
        worst_similarity=min((worst.get(sample_id, 100.0) for sample_id in mine), default=None),
    )


def _steps(dataset: fo.Dataset, record: dict[str, Any], run_key: str, field: str) -> list[StepState]:
    embedded = _embedding_state(dataset, field)
    clustered = _cluster_state(dataset, record, run_key, field)
    return [
        embedded,
        _index_state(dataset, field),
        clustered,
        _keep_state(record, clustered),
    ]


def _embedding_state(dataset: fo.Dataset, field: str) -> StepState:
    total = sm.everything(dataset).count()
    have = sm.everything(dataset).exists(field).count() if dataset.has_sample_field(field) else 0
    errors = f"{field}_error"
    failed = sm.everything(dataset).exists(errors).count() if dataset.has_sample_field(errors) else 0
    text = f"{have:,} of {total:,} samples have a vector" + (
        f", {failed:,} could not be read" if failed else ""
    )
    state = MISSING if have == 0 else DONE if have + failed >= total else STALE
    return StepState("compute_embeddings", state, text)


def _index_state(dataset: fo.Dataset, field: str) -> StepState:
    mine = [
        key
        for key in dataset.list_brain_runs(type="similarity")
        if getattr((config := dataset.get_brain_info(key).config), "method", None) == "annoy"
        and config.embeddings_field == field
    ]
    if not mine:
        return StepState("build_similarity_index", MISSING, "no index over these vectors")
    return StepState("build_similarity_index", DONE, f"index {', '.join(mine)}")


def _cluster_state(dataset: fo.Dataset, record: dict[str, Any], run_key: str, field: str) -> StepState:
    step = record["steps"].get("cluster")
    if step is None:
        return StepState("cluster_duplicates", MISSING, f"no run {run_key!r}")
    if step["state"] != runs.DONE:
        return StepState("cluster_duplicates", STALE, "did not finish: run it again")
    changed = _changed(dataset, step, run_key)
    if changed:
        return StepState("cluster_duplicates", STALE, f"{changed}: run it again")
    return StepState("cluster_duplicates", DONE, f"{step['clusters']:,} clusters at eps {step['eps']:.4g}")


def _changed(dataset: fo.Dataset, step: dict[str, Any], run_key: str) -> str | None:
    """What has changed since clustering: samples added or deleted, or their vectors; None if nothing."""
    field = step["options"]["embeddings_field"]
    if not dataset.has_sample_field(field):
        return f"the field {field!r} is gone"
    members = sm.everything(dataset).exists(runs.Names(run_key).cluster)
    clustered, now = step["samples"] - step["skipped"], members.count()
    if now < clustered:
        return f"{clustered - now:,} of its samples are gone"
    new = sm.everything(dataset).exists(field).match(~F(runs.Names(run_key).cluster).exists()).count()
    if new and step.get("whole_dataset"):
        return f"{new:,} samples with a vector came since"
    if now <= ALWAYS_CHECKED and sm.read_vectors(members, field).digest != step["vectors_digest"]:
        return "the vectors have changed"
    return None


def _keep_state(record: dict[str, Any], clustered: StepState) -> StepState:
    step = record["steps"].get("keep")
    if step is None:
        return StepState("keep_first_per_cluster", MISSING, "nothing is chosen yet")
    if step["state"] != runs.DONE or clustered.state != DONE:
        return StepState("keep_first_per_cluster", STALE, "run it again")
    return StepState("keep_first_per_cluster", DONE, f"{step['kept']:,} kept, {step['dropped']:,} dropped")
