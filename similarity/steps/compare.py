"""The similarity of samples, pair by pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..data import samples as sm
from ..data.files import file_names
from ..data.vectors import check_vector_field, read_vectors
from ..engine.vectors import between
from ..engine.vectors import percent as similarity_percent
from ..progress import Progress, silent
from ..result import SkippingResult, count
from ..search_options import CompareOptions
from .pairs import Pair

MOST = 50  # samples: 1,225 pairs, more than anybody reads


@dataclass(frozen=True, kw_only=True)
class CompareResult(SkippingResult):
    """The pairs that ``compare_samples`` compared.

    Attributes:
        samples: number of samples compared
        pairs: every pair, in the samples' order
        files: of all samples
    """

    samples: int
    pairs: list[Pair]

    def lines(self) -> list[str]:
        """Return the result in words."""
        lines = [f"{count(len(self.pairs), 'pair')} of {count(self.samples, 'sample')}."]
        if self.pairs:
            least = min(self.pairs, key=lambda pair: pair.similarity)
            most = max(self.pairs, key=lambda pair: pair.similarity)
            lines.append(f"Similarities lie between {least.similarity:.2f} % and {most.similarity:.2f} %.")
        return lines

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the table of the pairs."""
        rows = [
            {
                "picture": self.files[pair.id],
                "other picture": self.files[pair.other_id],
                "similarity": f"{pair.similarity:.2f} %",
            }
            for pair in self.pairs[:100]
        ]
        return {"pairs": rows} | super().tables()


def compare(
    samples: sm.Samples,
    options: CompareOptions,
    progress: Progress = silent,
    selected: Sequence[str] = (),
) -> CompareResult:
    """Compare the selected samples, or all samples of a small view, pair by pair.

    Raises:
        ValueError: if there are fewer than two, or more than 50
    """
    sm.dataset_of(samples).reload()  # another process may have written the vectors
    check(samples, options, selected)
    samples = sm.flat(samples)
    if selected:
        samples = samples.select(list(selected), ordered=True)
    progress("Comparing", 0, 1)
    vectors = read_vectors(samples, options.embeddings_field)
    ids = vectors.ids
    rows = list(combinations(range(len(ids)), 2))
    left, right = np.array(rows, dtype=np.intp).reshape(-1, 2).T
    distances = between(vectors.matrix, left, right)
    measured = zip(rows, distances.tolist(), similarity_percent(distances).tolist(), strict=True)
    pairs = [Pair(ids[i], ids[j], distance, similarity) for (i, j), distance, similarity in measured]
    return CompareResult(
        samples=len(ids) + len(vectors.skipped),
        pairs=pairs,
        skipped=vectors.skipped,
        files=file_names(sm.dataset_of(samples), [*ids, *vectors.skipped]),
    )


def check(samples: sm.Samples, options: CompareOptions, selected: Sequence[str] = ()) -> None:
    """Refuse a field without vectors, and to compare fewer than 2 samples, or more than 50.

    Raises:
        ValueError: as :func:`compare` does
    """
    total = len(selected) or sm.exact_count(sm.flat(samples))
    check_vector_field(samples, options.embeddings_field)
    if not 2 <= total <= MOST:
        raise ValueError(
            f"compare_samples takes 2 to {MOST} samples, got {total:,}: select that many in the grid"
        )
