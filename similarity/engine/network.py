"""VGG16 as a TensorFlow graph in a session of its own, so that its options affect no other model of the process."""

import os
from typing import Any

from .untrained import BLOCKS, IMAGENET_MEAN
from .weights import Weights

SHAPE = (224, 224, 3)


def build(layer: str, arrays: Weights, batch_size: int, bfloat16: bool) -> tuple[Any, Any, Any]:
    """Return a session, and input and output of its graph: uint8 pictures and float32 vectors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError("VGG16 needs TensorFlow: install it with `pip install tensorflow`.") from error
    graph = tf.Graph()
    with graph.as_default():
        pixels = tf.compat.v1.placeholder(tf.uint8, (batch_size, *SHAPE))
        # Fed, not stored in the graph: constants of this size are copied several times.
        fed = [tf.compat.v1.placeholder(tf.float32, array.shape) for pair in arrays for array in pair]
        variables = [tf.compat.v1.Variable(value, trainable=False, use_resource=True) for value in fed]
        vectors = _network(tf, pixels, list(zip(variables[::2], variables[1::2], strict=True)), layer)
        # Options of the session's own: ``tf.config.optimizer`` would affect every model of the process.
        config = tf.compat.v1.ConfigProto()
        config.gpu_options.allow_growth = True
        if bfloat16:
            rewrites = config.graph_options.rewrite_options
            rewrites.auto_mixed_precision_onednn_bfloat16 = rewrites.ON
            config.device_count["GPU"] = 0  # the precision in the provenance was decided for the CPU
        session = tf.compat.v1.Session(graph=graph, config=config)
        values = (array for pair in arrays for array in pair)
        session.run([v.initializer for v in variables], dict(zip(fed, values, strict=True)))
    graph.finalize()
    return session, pixels, vectors


def _network(tf: Any, pixels: Any, pairs: list[tuple[Any, Any]], layer: str) -> Any:
    """Return the vectors of a batch; convolutions end with the pairs."""
    remaining = list(pairs)
    x = tf.cast(pixels, tf.float32)[..., ::-1] - tf.constant(IMAGENET_MEAN, tf.float32)
    for count, _ in BLOCKS:
        here = [remaining.pop(0) for _ in range(min(count, len(remaining)))]
        for kernel, bias in here:
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        if len(here) == count:
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    if layer in ("block4", "block5_conv1"):
        return _mean_of_places(tf, x)
    if layer == "block5":
        return tf.sqrt(_mean_of_places(tf, x))
    if layer == "block5_mean":
        return tf.reduce_mean(x, (1, 2))
    if layer == "block5_max":
        return tf.reduce_max(x, (1, 2))
    x = tf.reshape(x, (x.shape[0], -1))
    for kernel, bias in remaining:
        x = tf.nn.relu(tf.nn.bias_add(tf.linalg.matmul(x, kernel), bias))
    return x


def _mean_of_places(tf: Any, x: Any) -> Any:
    """Return the mean of the places, each scaled to length 1, so that a few bright ones do not dominate."""
    return tf.reduce_mean(tf.math.l2_normalize(x, axis=-1), (1, 2))
