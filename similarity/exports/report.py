"""The report of a run: its figures as plain values, and the files that hold them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..data import runs
from ..data import samples as sm
from ..data.files import files
from ..engine.clusters import NOISE
from ..engine.neighbors import reach
from ..options import ReportOptions
from ..progress import Report
from . import manifest, report_page
from .manifest import DROPPED, KEPT, SKIPPED, Row

LARGEST, WORST = 8, 12  # clusters and pairs that the page shows as pictures
_EXAMPLES = 5

Samples = fo.core.collections.SampleCollection


def write_report(
    samples: Samples, rows: Sequence[Row], options: ReportOptions, folder: Path, report: Report
) -> None:
    """Write ``report.html``, ``report.json``, ``manifest.csv``, ``clusters.csv`` and ``clusters.json`` into a folder.

    Args:
        samples: the flat collection that the rows are of; its run's keep step is done
        rows: what became of each sample
    """
    report("Writing the report", 0, 1)
    found = figures(samples, rows, options)
    manifest.write(rows, folder / "manifest.csv")
    shared = ("dataset", "run_key", "eps", "metric", "options", "versions")
    manifest.write_clusters(rows, {name: found[name] for name in shared}, folder)
    manifest.write_json(found, folder / "report.json")
    (folder / "report.html").write_text(report_page.page(found, _pictured(rows, found)), encoding="utf-8")


def figures(samples: Samples, rows: Sequence[Row], options: ReportOptions) -> dict[str, Any]:
    """Everything that the report says, as plain JSON values; time stamps apart, the same for the same samples."""
    dataset, record = samples._dataset, runs.load(samples._dataset, options.run_key)
    clustering, keeping = record["steps"]["cluster"], record["steps"]["keep"]
    results = runs.load_results(dataset, options.run_key)
    metric = clustering["options"]["metric"]
    counts = _counts(rows)
    return {
        "dataset": dataset.name,
        "run_key": options.run_key,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": counts,
        "cost": _cost(counts, options),
        "disk": _disk(rows),
        "notes": [*results["keep"].get("warnings", []), *results["keep"].get("notes", [])],
        "eps": clustering["eps"],
        "eps_reason": results["cluster"].get("eps_reason", ""),
        "metric": metric,
        **_certificate(dataset, rows, results["keep"]["duplicates"], reach(clustering["eps"], metric)),
        "cluster_sizes": _sizes(rows),
        "largest": [_large(cluster) for cluster in manifest.clusters(rows)[:LARGEST]],
        "skipped": _skipped(rows),
        "embeddings": sm.provenance(samples, clustering["options"]["embeddings_field"]),
        "options": {
            "cluster_duplicates": clustering["options"],
            "keep_first_per_cluster": keeping["options"],
        },
        "versions": keeping["versions"],
    }


def _counts(rows: Sequence[Row]) -> dict[str, Any]:
    counts = manifest.counts(rows)
    return {
        "samples": counts["samples"],
        "kept": counts[KEPT],
        "dropped": counts[DROPPED],
        "skipped": counts[SKIPPED],
        "clusters": len(manifest.clusters(rows)),
        "noise": sum(row.cluster == NOISE and row.status != SKIPPED for row in rows),
        "percent_to_annotate": round(100 * counts[KEPT] / counts["samples"], 2),
    }


def _cost(counts: Mapping[str, Any], options: ReportOptions) -> dict[str, Any] | None:
    """What annotation costs without and with the run; None without a price."""
    if options.price is None:
        return None
    before, after = (round(options.price * counts[name], 2) for name in ("samples", "kept"))
    return {
        "price": options.price,
        "currency": options.currency,
        "before": before,
        "after": after,
        "saved": round(before - after, 2),
    }


def _disk(rows: Sequence[Row]) -> dict[str, int]:
    """Bytes of the picture files, of all samples and of the kept ones, each file counted once."""
    sizes = {row.filepath: _size(row.filepath) for row in rows}
    kept = {row.filepath for row in rows if row.status == KEPT}
    return {
        "before": sum(size or 0 for size in sizes.values()),
        "after": sum(sizes[path] or 0 for path in kept),
        "missing_files": sum(size is None for size in sizes.values()),
    }


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def _certificate(
    dataset: fo.Dataset, rows: Sequence[Row], duplicates: Sequence[Mapping[str, Any]], eps: float
) -> dict[str, Any]:
    """How far the dropped samples are from what is kept for them."""
    distances = {pair["id"]: pair["distance"] for pair in duplicates}
    dropped = [row for row in rows if row.status == DROPPED]
    return {
        "worst_similarity": min((row.similarity for row in dropped), default=None),
        "beyond_eps": sum(distances[row.id] > eps for row in dropped),
        "worst_pairs": _worst_pairs(dataset, rows, dropped, distances),
    }


def _worst_pairs(
    dataset: fo.Dataset, rows: Sequence[Row], dropped: Sequence[Row], distances: Mapping[str, float]
) -> list[dict[str, Any]]:
    """The dropped samples least similar to their kept one, at most one of each kept one, the worst first."""
    by_kept: dict[str, Row] = {}
    for row in sorted(dropped, key=lambda row: -distances[row.id]):
        by_kept.setdefault(row.kept_id, row)
    worst = list(islice(by_kept.values(), WORST))
    paths = _paths(dataset, rows, [row.kept_id for row in worst])
    return [
        {
            "id": row.id,
            "kept_id": row.kept_id,
            "cluster": row.cluster,
            "similarity": row.similarity,
            "distance": distances[row.id],
            "filepath": row.filepath,
            "kept_filepath": paths[row.kept_id],
        }
        for row in worst
    ]


def _paths(dataset: fo.Dataset, rows: Sequence[Row], ids: Sequence[str]) -> dict[str, str]:
    """Picture files of samples, also of those outside the rows."""
    wanted = set(ids)
    paths = {row.id: row.filepath for row in rows if row.id in wanted}
    return paths | files(dataset, sorted(wanted - set(paths)))


def _sizes(rows: Sequence[Row]) -> list[dict[str, int]]:
    """How many clusters there are of each size, and how many of their samples are kept; size 1 is the noise."""
    noise = sum(row.cluster == NOISE and row.status != SKIPPED for row in rows)
    sizes = {1: {"size": 1, "clusters": noise, "kept": noise}} if noise else {}
    for cluster in manifest.clusters(rows):
        size = len(cluster.members)
        entry = sizes.setdefault(size, {"size": size, "clusters": 0, "kept": 0})
        entry["clusters"] += 1
        entry["kept"] += len(cluster.kept)
    return [sizes[size] for size in sorted(sizes)]


def _large(cluster: manifest.ClusterRow) -> dict[str, Any]:
    return {
        "cluster": cluster.number,
        "size": len(cluster.members),
        "kept": [row.id for row in cluster.kept],
        "worst_similarity": min((row.similarity for row in cluster.members), default=None),
    }


def _skipped(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Why samples were skipped, the most common reason first, with a few of their files."""
    skipped: dict[str, list[str]] = {}
    for row in rows:
        if row.status == SKIPPED:
            skipped.setdefault(row.reason, []).append(row.filepath)
    ordered = sorted(skipped.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"reason": why, "samples": len(paths), "examples": paths[:_EXAMPLES]} for why, paths in ordered]


def _pictured(rows: Sequence[Row], found: Mapping[str, Any]) -> dict[int, list[Row]]:
    """The members of the largest clusters, the kept ones first, then the least similar: ``{cluster: rows}``."""
    shown = {cluster["cluster"] for cluster in found["largest"]}
    return {
        cluster.number: sorted(cluster.members, key=lambda row: (row.status != KEPT, row.similarity))
        for cluster in manifest.clusters(rows)
        if cluster.number in shown
    }
