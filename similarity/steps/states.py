"""How far each operator's work on a dataset and run is."""

from dataclasses import dataclass
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from .. import load_index
from ..data import runs
from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..data.vectors import gather, read_compared
from ..engine.vectors import percent as similarity_percent
from ..options import DIGEST
from ..result import count
from ..workflow import CLUSTER, EMBED, EXPORT, INDEX, KEEP, REMOVE

DONE, STALE, MISSING, READY = "done", "stale", "missing", "ready"
ALWAYS_CHECKED = 20_000  # so many samples' vectors are compared with the run's digest at every look


@dataclass(frozen=True)
class StepState:
    """How far one operator's work is, and why.

    Attributes:
        operator: its name
        state: ``"done"``; ``"stale"``, to be run again; ``"missing"``; or ``"ready"``, where nothing records that it was run
        text: a few words
    """

    operator: str
    state: str
    text: str


@dataclass(frozen=True)
class Embedded:
    """How many samples have a vector in a field, were found to be unreadable, or have none yet."""

    vectors: int
    unreadable: int
    missing: int


def embedded(samples: sm.Samples, field: str) -> Embedded:
    """Count the samples that are embedded."""
    fields = (field, FieldNames(field).error)
    vectors, unreadable = (samples.exists(f).count() if samples.has_sample_field(f) else 0 for f in fields)
    return Embedded(vectors, unreadable, max(0, sm.exact_count(samples) - vectors - unreadable))


def steps(
    dataset: fo.Dataset, record: dict[str, Any], run_key: str, field: str, samples: Embedded, removed: int
) -> list[StepState]:
    """Return the states of the operators, in their order.

    Args:
        record: of the run, with no steps where there is none
        samples: of ``field``
        removed: how many of the run's samples are in its archive
    """
    clustered = _clustering(dataset, record, run_key, removed)
    kept = _keeping(dataset, record, run_key, clustered)
    return [
        _embedding(samples),
        _index(dataset, field),
        clustered,
        kept,
        _export(kept),
        _removal(dataset, run_key, kept, removed),
    ]


def _embedding(samples: Embedded) -> StepState:
    total = samples.vectors + samples.unreadable + samples.missing
    text = f"{samples.vectors:,} of {count(total, 'sample')}"
    text += f", {samples.unreadable:,} unreadable" if samples.unreadable else ""
    state = MISSING if samples.vectors == 0 else STALE if samples.missing else DONE
    return StepState(EMBED.operator, state, text)


def _index(dataset: fo.Dataset, field: str) -> StepState:
    configs = {key: dataset.get_brain_info(key).config for key in dataset.list_brain_runs(type="similarity")}
    mine = [
        key
        for key, config in configs.items()
        if getattr(config, "method", None) == "annoy" and config.embeddings_field == field
    ]
    if not mine:
        return StepState(INDEX.operator, MISSING, "optional, for searches")
    lacking = [f"{key}: {lacks}" for key in mine if (lacks := _lacking(dataset, key))]
    state, texts = (STALE, lacking) if lacking else (DONE, mine)
    return StepState(INDEX.operator, state, ", ".join(texts))


def _lacking(dataset: fo.Dataset, brain_key: str) -> str:
    """Return why an index must be built again, or ``""``; of a large dataset nobody looks before searching."""
    if sm.exact_count(dataset) > ALWAYS_CHECKED:
        return ""
    try:
        return load_index(dataset, brain_key).status.lacks()
    except ValueError:  # its files are damaged, or it is not finished
        return "not readable"


def _clustering(dataset: fo.Dataset, record: dict[str, Any], run_key: str, removed: int) -> StepState:
    name, step = runs.operator(record, CLUSTER), record["steps"].get(CLUSTER.name)
    if step is None:
        return StepState(name, MISSING, f"no run {run_key!r} yet")
    changed = runs.lacks(dataset, run_key, record, CLUSTER) or _changed(dataset, step, run_key, removed)
    if changed:
        return StepState(name, STALE, changed)
    by_bytes = step["options"]["metric"] == DIGEST
    near = (
        f"{similarity_percent(step['eps']):.4g} % similar" if step["options"]["metric"] == "cosine" else None
    )
    how = "of files of the same bytes" if by_bytes else f"at {near or format(step['eps'], '.4g')}"
    return StepState(name, DONE, f"{count(step['clusters'], 'cluster')} {how}")


def _changed(dataset: fo.Dataset, step: dict[str, Any], run_key: str, removed: int) -> str | None:
    """Return the change since clustering: samples added or deleted, or their vectors; None if there is none."""
    field, metric = (step["options"][name] for name in ("embeddings_field", "metric"))
    cluster, by_bytes = runs.Names(run_key).cluster, metric == DIGEST
    if not by_bytes and not dataset.has_sample_field(field):
        return f"the field {field!r} is gone"
    members = sm.everything(dataset).exists(cluster)
    clustered = step["samples"] - step["skipped"] - removed + step.get("reference", 0)
    now = members.count()
    if now < clustered:
        return f"{count(clustered - now, 'sample')} deleted since"
    new = _count_added(dataset, run_key, None if by_bytes else field) if step.get("whole_dataset") else 0
    if new > 0:
        return f"{count(new, 'sample')} added since"
    if not removed and now <= ALWAYS_CHECKED and _digest(members, field, metric) != step["vectors_digest"]:
        return "the vectors have changed"
    return None


def _count_added(dataset: fo.Dataset, run_key: str, field: str | None) -> int:
    """Count the samples that can be compared and were not there when the run was clustered.

    Args:
        field: of the vectors; None for a run of copies
    """
    samples = sm.everything(dataset).match(~F(runs.Names(run_key).cluster).exists())
    found = set((samples.exists(field) if field else samples).values("id"))
    clustering = runs.load_results(dataset, run_key).get(CLUSTER.name, {}) if found else {}
    known = found & {*clustering.get("skipped", ()), *clustering.get("reference_ids", ())}
    usable = gather(samples.select(sorted(known)), field).ids if field and known else ()
    return len(found) - len(known) + len(usable)


def _digest(members: sm.Samples, field: str, metric: str) -> str | None:
    try:
        return read_compared(members, field, metric).digest
    except ValueError:  # no vector is left
        return None


def _keeping(dataset: fo.Dataset, record: dict[str, Any], run_key: str, clustered: StepState) -> StepState:
    name, step = KEEP.operator, record["steps"].get(KEEP.name)
    if step is None:
        return StepState(name, MISSING, "nothing is chosen yet")
    if clustered.state != DONE:
        return StepState(name, STALE, "cluster again first")
    problem = runs.lacks(dataset, run_key, record, KEEP)
    if problem is not None:
        return StepState(name, STALE, problem)
    return StepState(name, DONE, f"{step['kept']:,} kept, {step['dropped']:,} dropped")


def _export(kept: StepState) -> StepState:
    if kept.state != DONE:
        return StepState(EXPORT.operator, kept.state, "once it is known what is kept")
    return StepState(EXPORT.operator, READY, "with manifest and report")


def _removal(dataset: fo.Dataset, run_key: str, kept: StepState, removed: int) -> StepState:
    name = REMOVE.operator
    if kept.state == MISSING:
        return StepState(name, MISSING, "once it is known what is kept")
    if kept.state == STALE:
        return StepState(name, STALE, "keep again first")
    left = sm.where(sm.everything(dataset), runs.Names(run_key).kept, False).count()
    if removed and not left:
        return StepState(name, DONE, f"{removed:,} in the archive")
    return StepState(name, READY, f"{left:,} to remove")
