"""Embed, cluster and keep in one go."""

from dataclasses import dataclass
from typing import Any

from ..data import runs
from ..data import samples as sm
from ..data.batch import reference_of
from ..data.vectors import holds_others_vectors
from ..embed_options import EmbedOptions
from ..options import ClusterOptions, KeepOptions, UniqueOptions
from ..progress import Progress, silent
from .cluster import check as check_clustering
from .cluster import cluster
from .cluster_result import ClusterResult
from .embed import EmbedResult, embed
from .embed import check as check_embedding
from .keep import KeepResult, keep
from .order import check as check_order
from .plans import refuse_shrinking


@dataclass(frozen=True, kw_only=True)
class UniqueResult(KeepResult):
    """The unique samples that ``find_unique_samples`` found, with the results of the steps before keeping.

    Attributes:
        embedding: the result of ``compute_embeddings``; None where the field holds vectors of another origin
        clustering: the result of ``cluster_duplicates``
    """

    embedding: EmbedResult | None
    clustering: ClusterResult

    def summary(self) -> str:
        """Return the result in words."""
        warnings = [words for words in self.clustering.warnings if words not in self.warnings]
        leaks = [self.clustering.leaks.sentence()] if self.clustering.leaks else []
        embedded = ["", self.embedding.summary()] if self.embedding else []
        return "\n".join([super().summary(), *warnings, self.clustering.eps_sentence(), *leaks, *embedded])

    def numbers(self) -> dict[str, Any]:
        """Return the single values of clustering and keeping."""
        return self.clustering.numbers() | super().numbers()

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the tables of clustering and keeping, and the files that could not be read."""
        unread = self.embedding.tables() if self.embedding else {}
        return self.clustering.tables() | super().tables() | unread


def check(samples: sm.Samples, options: UniqueOptions) -> None:
    """Refuse, before a picture is read, options that one of the steps would refuse.

    Raises:
        ValueError, WeightsUnavailable: as :func:`find_unique` does
    """
    samples, names = sm.flat(samples), runs.Names(options.run_key)
    runs.refuse_foreign(
        sm.dataset_of(samples), options.run_key, {"fields": names.fields, "views": names.views}
    )
    others = holds_others_vectors(samples, options.embeddings_field)
    check_clustering(samples, options, None if others else check_embedding(samples, options))
    check_order(sm.dataset_of(samples), options)


def find_unique(samples: sm.Samples, options: UniqueOptions, progress: Progress = silent) -> UniqueResult:
    """Embed, cluster and keep; each step as on its own, and resumed like it. The reference is embedded too.

    A field with vectors that OnlyOne did not make is used as it is.

    Raises:
        ValueError, Busy, WeightsUnavailable: as the steps do
        Unconfirmed: before anything is embedded, if the run would lose samples, and it was not confirmed
    """

    def numbered(number: int) -> Progress:
        return lambda activity, done, total: progress(f"{number}/3 {activity}", done, total)

    # The grid may show, say, an earlier run's kept samples: a view that the first steps would change under the last.
    samples = sm.settled(
        sm.flat(samples), f"{options.run_key}_", f"{options.run_key}:", options.embeddings_field
    )
    check(samples, options)
    refuse_shrinking(samples, options)
    others = holds_others_vectors(samples, options.embeddings_field)
    embedding = None
    if not others:
        embedding = embed(samples, options.pick(EmbedOptions), numbered(1))
        if options.reference is not None:
            known = reference_of(sm.dataset_of(samples), options.reference, options.run_key)
            if known.limit(1).values("id"):
                embed(known, options.pick(EmbedOptions), numbered(1))
    clustering = cluster(samples, options.pick(ClusterOptions), numbered(2))
    keeping = keep(samples, options.pick(KeepOptions), numbered(3))
    return UniqueResult(**vars(keeping), embedding=embedding, clustering=clustering)
