"""The threshold of a field's vectors, by their provenance."""

from collections.abc import Mapping
from typing import Any

from fiftyone.core.collections import SampleCollection as Samples

from ..engine import vgg16
from ..engine.calibration import Threshold, threshold
from . import samples as sm


def of_field(samples: Samples, field: str, metric: str) -> Threshold | None:
    """Return the measured threshold of a field's vectors; None where there is none for them or the metric."""
    return _known(sm.provenance(samples, field), metric)


def require(provenance: Mapping[str, Any], field: str, metric: str) -> Threshold:
    """Return the measured threshold of vectors by their provenance.

    Args:
        provenance: of the vectors that the field holds, or is to hold; empty where OnlyOne did not make them

    Raises:
        ValueError: if none is known for them; the message names the reason and the alternative
    """
    found = _known(provenance, metric)
    if found is not None:
        return found
    raise ValueError(
        f"eps='auto' has no measured threshold for the vectors in {field!r}: {_reason(provenance, metric)}. "
        "Give eps (a distance), or target (how many to keep); the panel and sweep_thresholds show what each threshold "
        "keeps, with example pairs"
    )


def _known(provenance: Mapping[str, Any], metric: str) -> Threshold | None:
    return threshold(provenance) if metric == "cosine" else None


def _reason(provenance: Mapping[str, Any], metric: str) -> str:
    if metric != "cosine":
        return f"it is known for metric='cosine' only, not {metric!r}"
    if "weights_digest" not in provenance:
        return "compute_embeddings did not make them"
    if provenance.get("version") != vgg16.VERSION:
        return "an earlier version made them (compute_embeddings with recompute=True makes new ones)"
    layer, weights = provenance.get("layer"), provenance.get("weights")
    return f"it was never measured for the layer {layer!r} of the weights {weights!r}"
