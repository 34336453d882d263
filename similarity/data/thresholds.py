"""The threshold of a field's vectors, by their provenance."""

from fiftyone.core.collections import SampleCollection as Samples

from ..engine import vgg16
from ..engine.calibration import Threshold, threshold
from . import samples as sm


def of_field(samples: Samples, field: str, metric: str) -> Threshold | None:
    """Return the measured threshold of a field's vectors; None where there is none for them or the metric."""
    return threshold(sm.provenance(samples, field)) if metric == "cosine" else None


def require(samples: Samples, field: str, metric: str) -> Threshold:
    """Return the measured threshold of a field's vectors.

    Raises:
        ValueError: if none is known for them; the message names the reason and the alternative
    """
    found = of_field(samples, field, metric)
    if found is not None:
        return found
    raise ValueError(
        f"eps='auto' has no measured threshold for the vectors in {field!r}: {_reason(samples, field, metric)}. "
        "Give eps (a distance), or target (how many to keep); the panel and sweep_thresholds show what each threshold "
        "keeps, with example pairs"
    )


def _reason(samples: Samples, field: str, metric: str) -> str:
    if metric != "cosine":
        return f"it is known for metric='cosine' only, not {metric!r}"
    told = sm.provenance(samples, field)
    if "weights_digest" not in told:
        return "compute_embeddings did not make them"
    if told.get("version") != vgg16.VERSION:
        return "an earlier version made them (compute_embeddings with recompute=True makes new ones)"
    return f"it was never measured for the layer {told.get('layer')!r} of the weights {told.get('weights')!r}"
