"""The sweep over all thresholds, the measured threshold, and the pairs that a threshold decides about."""

from dataclasses import dataclass, replace
from functools import lru_cache

import fiftyone as fo
import numpy as np

from ..data import samples as sm
from ..data import sweeps, thresholds
from ..data.files import with_names
from ..data.vectors import check_vector_field, read_vectors
from ..engine import sweep as engine_sweep
from ..engine.neighbors import check_eps
from ..engine.sweep import eps_for_target
from ..options import SweepOptions
from ..progress import Progress, silent
from ..result import SkippingResult, count, percent
from .pairs import Pair

CURVE = 400  # points of the curve that people see
_LEAST = 1e-300  # eps must be above 0, where equal vectors are at 0
_ROWS = 20  # of the table
_SPACED = 20  # thresholds evenly spaced along the axis, where the samples kept with cover are counted


@dataclass(frozen=True)
class Threshold(engine_sweep.Row):
    """The numbers of a clustering at one eps, and from there on up to the next one.

    Attributes:
        kept_with_cover: the number kept at this very eps with ``cover``, in the view's order; None where it was not counted
    """

    kept_with_cover: int | None = None


@dataclass(frozen=True, kw_only=True)
class SweepResult(SkippingResult):
    """The numbers at every threshold that ``sweep_thresholds`` found.

    Attributes:
        embeddings_field, metric, min_samples: as in the options
        samples: number of samples with a vector
        files: empty where the sweep was recalled
        stored: the exact counts at every eps, and the merges that decide them
        eps: the threshold that was measured for these vectors, and ``kept`` the number kept there; None where none is known
    """

    embeddings_field: str
    metric: str
    min_samples: int
    samples: int
    stored: sweeps.StoredSweep
    eps: float | None
    kept: int | None

    @property
    def key(self) -> str:
        """Digest of the vectors and their order."""
        return self.stored.key

    def at(self, eps: float) -> Threshold:
        """Return the numbers of a clustering at ``eps``."""
        check_eps(eps)
        return self._at(eps)

    def _at(self, eps: float) -> Threshold:
        found = self.stored
        row = {**vars(found.sweep.at(max(eps, _LEAST))), "eps": eps}
        place = int(np.searchsorted(found.cover_eps, eps))
        counted = place < len(found.cover_eps) and found.cover_eps[place] == eps
        return Threshold(**row, kept_with_cover=int(found.cover_kept[place]) if counted else None)

    def eps_for(self, target: str) -> float:
        """Return the eps whose number kept is nearest to a target: a number of samples (200) or a share (10 %).

        Raises:
            ValueError: if the target is neither, or out of reach
        """
        return eps_for_target(self.stored.sweep, sweeps.wanted(target, self.samples))[0]

    def curve(self) -> list[Threshold]:
        """Return the thresholds at which the number kept changes, thinned to at most 400, evenly spaced in rank."""
        return [self._at(eps) for eps in _curve(self.stored.sweep).tolist()]

    def few(self) -> list[Threshold]:
        """Return about twenty thresholds, evenly spaced in rank, and the measured one."""
        return [self._at(eps) for eps in np.union1d(_few(self.stored.sweep), _known(self.eps)).tolist()]

    def covered(self) -> list[Threshold]:
        """Return the thresholds at which the samples kept with ``cover`` were counted.

        Those of :meth:`few`, and some evenly spaced along a logarithmic axis; none where the sweep was made by another step.
        """
        return [self._at(eps) for eps in self.stored.cover_eps.tolist()]

    def just_under(self, eps: float, number: int = 4) -> list[Pair]:
        """Return the least similar pairs that ``eps`` still joins, the least similar first.

        Their distance is where they come into reach of each other, ``min_samples`` counted.
        """
        end = self._joined(eps)
        return [self._merge(i) for i in reversed(range(max(0, end - number), end))]

    def just_over(self, eps: float, number: int = 4) -> list[Pair]:
        """Return the most similar pairs that ``eps`` keeps apart, the most similar first."""
        start, finite = self._joined(eps), int(np.isfinite(self.stored.sweep.length).sum())
        return [self._merge(i) for i in range(start, min(finite, start + number))]

    def _joined(self, eps: float) -> int:
        return int(np.searchsorted(self.stored.sweep.length, eps, side="right"))

    def _merge(self, i: int) -> Pair:
        ids, swept = self.stored.ids, self.stored.sweep
        similarity = float(self.stored.similarities[i])
        return Pair(ids[swept.left[i]], ids[swept.right[i]], float(swept.length[i]), similarity)

    def to_dict(self) -> dict:
        """Return the result as plain JSON values, with the curve in place of the whole sweep."""
        short = {name: value for name, value in vars(self).items() if name != "stored"} | {"key": self.key}
        curves = {"curve": self.curve(), "covered": self.covered()}
        return short | {name: [vars(threshold) for threshold in curve] for name, curve in curves.items()}

    def lines(self) -> list[str]:
        """Return the result in words."""
        told = "No threshold was measured for these vectors: look at the pairs that each one joins."
        if self.eps is not None and self.kept is not None:
            told = (
                f"The threshold measured for these vectors is eps {self.eps:.6g}: it keeps {self.kept:,} "
                f"({percent(self.kept, self.samples)})."
            )
        return [f"{count(self.samples, 'sample')}. {told}"]

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the table of a few thresholds."""
        rows = [
            {
                "eps": f"{t.eps:.4g}",
                "kept": f"{t.kept:,}",
                "kept with cover": "not counted" if t.kept_with_cover is None else f"{t.kept_with_cover:,}",
                "clusters": f"{t.clusters:,}",
                "unlike any other": f"{t.noise:,}",
                "largest cluster": f"{t.largest:,}",
            }
            for t in self.few()
        ]
        return {"thresholds": rows} | super().tables()


def check(samples: sm.Samples, options: SweepOptions) -> None:
    """Refuse, before a vector is read, samples, a field or a ``min_samples`` that cannot be used.

    Raises:
        ValueError: as :func:`sweep` does
    """
    engine_sweep.check_min_samples(options.min_samples)
    check_vector_field(sm.flat(samples), options.embeddings_field)


def sweep(samples: sm.Samples, options: SweepOptions, progress: Progress = silent) -> SweepResult:
    """Count clusters and kept samples at every eps, in one pass over the vectors; nothing is written to the dataset.

    A second pass counts the samples that ``cover`` would keep, at some forty eps. It takes about as long as the first.

    The sweep is kept in a file under ``$ONLYONE_HOME`` and found again as long as the vectors are the same.

    Raises:
        ValueError: if the samples or the field cannot be used, or ``min_samples`` is above 2
    """
    check(samples, options)
    samples = sm.flat(samples)
    progress("Reading the vectors", 0, 1)
    vectors = read_vectors(samples, options.embeddings_field)
    dataset = sm.dataset_of(samples)
    found = sweeps.stored(dataset, vectors, options, progress)
    grid = _grid(found.sweep, _eps(dataset, options))
    found = sweeps.with_cover(dataset, options, found, vectors, grid, progress)
    return replace(_result(dataset, options, found), **with_names(dataset, found.skipped))


def recall(dataset: fo.Dataset, options: SweepOptions, key: str) -> SweepResult | None:
    """Return the result with a key, without reading the vectors; None if its file is gone."""
    found = sweeps.load(dataset, options, key)
    return _result(dataset, options, found) if found is not None else None


def find(samples: sm.Samples, options: SweepOptions, trust_over: int) -> SweepResult | None:
    """Return the result for the samples as they are now, if they were swept before.

    Args:
        trust_over: above so many samples the vectors are not read, and only the ids compared

    Raises:
        ValueError: if the samples or the field cannot be used
    """
    samples, dataset = sm.flat(samples), sm.dataset_of(samples)
    if sm.exact_count(samples) > trust_over:
        found = sweeps.latest(dataset, options)
        return _result(dataset, options, found) if found and _is_of(found, samples, options) else None
    return recall(dataset, options, sweeps.row_digest(read_vectors(samples, options.embeddings_field)))


def _is_of(found: sweeps.StoredSweep, samples: sm.Samples, options: SweepOptions) -> bool:
    """Return whether the samples that have vectors are the ones that were swept."""
    now, then = set(samples.exists(options.embeddings_field).values("id")), set(found.ids)
    return then <= now and now - then <= found.skipped.keys()


def _curve(swept: engine_sweep.Sweep) -> np.ndarray:
    """Return the eps at which the number kept changes, thinned."""
    change = np.flatnonzero(np.diff(swept.kept, prepend=-1))
    if len(change) > CURVE:
        change = change[np.unique(np.linspace(0, len(change) - 1, CURVE).astype(int))]
    return swept.eps[change]


def _few(swept: engine_sweep.Sweep) -> np.ndarray:
    curve = _curve(swept)
    return curve[np.unique(np.linspace(0, len(curve) - 1, _ROWS).astype(int))]


def _eps(dataset: fo.Dataset, options: SweepOptions) -> float | None:
    """Return the threshold measured for the vectors."""
    found = thresholds.of_field(dataset, options.embeddings_field, options.metric)
    return found.eps if found is not None else None


def _known(eps: float | None) -> list[float]:
    return [] if eps is None else [eps]


def _grid(swept: engine_sweep.Sweep, eps: float | None) -> np.ndarray:
    """Return the eps at which the samples kept with cover are counted."""
    merges = _curve(swept)[1:]
    spaced = np.geomspace(merges[0], merges[-1], _SPACED) if len(merges) else merges
    return np.unique(np.concatenate([_few(swept), spaced, _known(eps)]))


def _result(dataset: fo.Dataset, options: SweepOptions, found: sweeps.StoredSweep) -> SweepResult:
    return result_of(found, options, _eps(dataset, options))


@lru_cache(maxsize=4)  # the panel asks at every move of the threshold
def result_of(found: sweeps.StoredSweep, options: SweepOptions, eps: float | None) -> SweepResult:
    """Return a sweep as the step's result, with the threshold measured for its vectors."""
    return SweepResult(
        embeddings_field=options.embeddings_field,
        metric=options.metric,
        min_samples=options.min_samples,
        samples=len(found.ids),
        skipped=found.skipped,
        files={},
        stored=found,
        eps=eps,
        kept=found.sweep.at(eps).kept if eps is not None else None,
    )
