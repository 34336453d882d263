"""Operators that compute vectors."""

from ..similarity.options import EmbedOptions
from ..similarity.steps.embed import embed
from .base import StepOperator


class ComputeEmbeddings(StepOperator):
    """VGG16 embeddings into a field; skips what is up to date, and lists what it could not read."""

    name = "compute_embeddings"
    label = "Compute embeddings"
    icon = "memory"
    options = EmbedOptions
    step = staticmethod(embed)
