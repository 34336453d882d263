"""The precision of VGG16 on this machine, bfloat16 or float32, decided without TensorFlow."""

import os
from functools import lru_cache
from pathlib import Path

PRECISIONS = ("auto", "float32")
"""Values of the option; ``auto`` is ``bfloat16`` where the CPU computes with it and no GPU does the work."""


def resolve(precision: str) -> str:
    """Return ``bfloat16`` or ``float32``.

    Args:
        precision: one of :data:`PRECISIONS`, or ``bfloat16`` to require the precision that ``auto`` gave before

    Raises:
        ValueError: if it is unknown, or this CPU has no bfloat16 and it is required
    """
    if precision == "auto":
        return "bfloat16" if _cpu_has_bfloat16() and not _gpu_visible() else "float32"
    if precision == "float32":
        return precision
    if precision != "bfloat16":
        raise ValueError(
            f"Unsupported precision {precision!r}. Supported values are {', '.join(PRECISIONS)}."
        )
    if not _cpu_has_bfloat16():
        raise ValueError("These vectors are bfloat16, and this CPU cannot compute with it: embed again here.")
    return precision


@lru_cache(maxsize=1)
def _cpu_has_bfloat16() -> bool:
    """Return whether oneDNN computes with bfloat16 in hardware; emulated, it would be slower than float32."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return False
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16"})


def _gpu_visible() -> bool:
    """Return whether there is an NVIDIA GPU that the process may use, without TensorFlow."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path("/dev").glob("nvidia[0-9]*"))
