"""VGG16 as a FiftyOne model, for FiftyOne's own ``compute_embeddings`` and ``compute_similarity``.

A convenience: FiftyOne reads the files itself, one after the other, and a single unreadable picture costs its
whole batch. The plugin's own operator reads ahead, records failures one by one and skips what is up to date.
"""

from pathlib import Path

import fiftyone.core.models as fom
import numpy as np

from .engine import images, vgg16


class Vgg16Model(fom.Model, fom.EmbeddingsMixin):
    """Gives the vectors of the plugin's VGG16 wherever FiftyOne takes a model instance.

    FiftyOne hands over decoded RGB arrays. They are fitted to the network's square as files are, so vectors equal
    those of the operator wherever FiftyOne decodes as :func:`images.decode` does: 8-bit RGB and grey without
    transparency, apart from JPEG files so large that the operator shrinks them while decoding.

    Args:
        layer ("block5"): one of :data:`vgg16.LAYERS`
        weights ("imagenet"): ``imagenet``, ``untrained``, or the path of a weights file
        precision ("auto"): one of :data:`vgg16.PRECISIONS`

    Raises:
        ValueError: if an option is unknown or the weights do not fit
        WeightsUnavailable: if the weights are not on this machine and cannot be downloaded
    """

    def __init__(self, layer: str = "block5", weights: str | Path = "imagenet", precision: str = "auto"):
        super().__init__()
        self._model = vgg16.load(layer=layer, weights=weights, precision=precision)
        self._embeddings: np.ndarray | None = None
        self._preprocess = True

    @property
    def media_type(self) -> str:
        """The kind of samples it takes: pictures."""
        return "image"

    @property
    def has_embeddings(self) -> bool:
        """Always True: vectors are all it gives."""
        return True

    @property
    def ragged_batches(self) -> bool:
        """False: pictures of a batch may differ in size, and are made equal here."""
        return False

    @property
    def transforms(self) -> None:
        """None: nothing is left for FiftyOne to do."""
        return None

    @property
    def preprocess(self) -> bool:
        """Kept for FiftyOne, which sets it; pictures are always fitted."""
        return self._preprocess

    @preprocess.setter
    def preprocess(self, value: bool) -> None:
        self._preprocess = value

    @property
    def provenance(self) -> dict[str, str]:
        """Everything that decides a vector, as the plugin stores it with its embedding fields."""
        return dict(self._model.provenance)

    def embed(self, arg: np.ndarray) -> np.ndarray:
        """``(d,)`` float32 vector of one RGB array."""
        return self.embed_all([arg])[0]

    def embed_all(self, args: list[np.ndarray]) -> np.ndarray:
        """``(n, d)`` float32 vectors of RGB arrays of any size.

        Raises:
            UnreadableImage: if one of the arrays is no picture
        """
        self._embeddings = self._model.embed(np.stack([images.fit(np.asarray(arg)) for arg in args]))
        return self._embeddings

    def get_embeddings(self) -> np.ndarray:
        """The vectors of the latest batch.

        Raises:
            ValueError: if nothing has been embedded yet
        """
        if self._embeddings is None:
            raise ValueError("Nothing has been embedded yet: call embed() or embed_all() first.")
        return self._embeddings

    def predict(self, arg: np.ndarray) -> None:
        """Embed only: FiftyOne calls it to have :meth:`get_embeddings` filled, and expects no label."""
        self.embed(arg)
