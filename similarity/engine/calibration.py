"""Thresholds that depend on the vectors: measured once for the weights and the layer, not read off the data.

The distance at which a network sees two pictures as the same hardly depends on the collection; the shape of a
collection's distances does. So one number for each kind of vectors works better than any rule over the data; the
figures are in docs/quality.md, which ``make quality`` writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import vectors as vec
from .untrained import DIGEST as UNTRAINED_DIGEST
from .vectors import Vectors
from .vgg16 import MODEL, VERSION
from .weights import IMAGENET_DIGEST

# Each is a round number at whose 1.1-fold no cluster of any set of real pictures in docs/quality.md mixes two groups,
# measured with the vectors of these very weights and this layer. ImageNet's fc1 and fc2 are not measured. With untrained
# weights, pairs of test pictures that are plainly black or white to the eye are left out of this check.
_MEASURED = {
    (IMAGENET_DIGEST, "block5_conv1"): 0.03,
    (IMAGENET_DIGEST, "block4"): 0.03,
    (IMAGENET_DIGEST, "block5"): 0.06,
    (IMAGENET_DIGEST, "block5_mean"): 0.06,
    (IMAGENET_DIGEST, "block5_max"): 0.075,
    (UNTRAINED_DIGEST, "block5_conv1"): 0.008,
    (UNTRAINED_DIGEST, "block4"): 0.004,
    (UNTRAINED_DIGEST, "block5"): 0.0022,
    (UNTRAINED_DIGEST, "block5_mean"): 0.006,
    (UNTRAINED_DIGEST, "block5_max"): 0.017,
    (UNTRAINED_DIGEST, "fc1"): 0.17,
    (UNTRAINED_DIGEST, "fc2"): 0.22,
}

ALIKE = 3.0
"""A usual distance below so many times eps indicates samples of one scene, or of one kind to the network."""

_PAIRS = 10_000
_SEED = 51


@dataclass(frozen=True)
class Threshold:
    """The largest distance between two vectors of near-duplicates, and whether it was measured with their very weights."""

    eps: float
    measured: bool


def threshold(provenance: Mapping[str, Any]) -> Threshold | None:
    """Return the threshold of vectors by their provenance; None where it is not known.

    VGG16 weights that were not measured take ImageNet's value for the layer.

    Args:
        provenance: as :func:`~.vgg16.provenance` gives it, and as it is stored with a field
    """
    if provenance.get("model") != MODEL or provenance.get("version") != VERSION:
        return None
    weights, layer = str(provenance.get("weights_digest")), str(provenance.get("layer"))
    if (weights, layer) in _MEASURED:
        return Threshold(_MEASURED[weights, layer], measured=True)
    if (IMAGENET_DIGEST, layer) in _MEASURED:
        return Threshold(_MEASURED[IMAGENET_DIGEST, layer], measured=False)
    return None


def usual_distance(vectors: Vectors, metric: str = "cosine") -> float:
    """Return the median distance of 10,000 pairs of different rows, chosen by a seed; infinite for fewer than two rows."""
    n = len(vectors)
    if n < 2:
        return float("inf")
    rng = np.random.default_rng(_SEED)
    left = rng.integers(0, n, _PAIRS)
    right = (left + rng.integers(1, n, _PAIRS)) % n
    return float(np.median(vec.between(vectors, left, right, metric=metric)))
