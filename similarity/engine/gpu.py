"""The block product on a GPU that TensorFlow sees."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .sketch import Singles
from .vectors import Indices

TILE = 4096

# What TF32, the format in which recent GPUs multiply unless told otherwise, keeps of a float32.
_TF32_BITS = np.int32(-(2**13))


def find() -> Gpu | None:
    """Return the first GPU, or None.

    TensorFlow is imported only where the machine has an NVIDIA driver or TensorFlow is loaded already.
    """
    if "tensorflow" not in sys.modules and not (Path("/dev/nvidia0").exists() and find_spec("tensorflow")):
        return None
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU")
    return Gpu(tf, devices[0].name) if devices else None


class Gpu:
    """Finds the pairs of a tile whose score reaches a limit, to float32's precision.

    Each number is split into a head that TF32 represents and a tail, and the three products that matter are added
    in one of three times the length: that is exact enough whether or not the process, whose setting it is, lets
    TensorFlow use TF32.
    """

    def __init__(self, tensorflow: Any, device: str):
        self.tf = tensorflow
        self.device = device

    def at_least(self, left: Singles, right: Singles, cut: float) -> tuple[Indices, Indices, Singles]:
        """Return rows, columns and scores of the pairs of ``left @ right.T`` that are ``cut`` or more."""
        tf = self.tf
        with tf.device(self.device):
            head, tail = self._split(left)
            other_head, other_tail = self._split(right)
            both = tf.concat([head, head, tail], axis=1)
            others = tf.concat([other_head, other_tail, other_head], axis=1)
            scores = tf.matmul(both, others, transpose_b=True)
            at = tf.where(scores >= cut)
            found = tf.gather_nd(scores, at)
        row, col = at.numpy().T
        return row, col, found.numpy()

    def _split(self, values: Singles) -> tuple[Any, Any]:
        tensor = self.tf.constant(values)
        bits = self.tf.bitcast(tensor, self.tf.int32)
        head = self.tf.bitcast(self.tf.bitwise.bitwise_and(bits, _TF32_BITS), self.tf.float32)
        return head, tensor - head
