"""Store the vectors that ImageNet's weights give the demo's pictures, for a test where there are no such weights.

``python -m tools.quality.demo_vectors WEIGHTS`` writes ``tests/data/demo_vectors.npz``: ``vectors``, ``(500, 512)``
float16 of the default layer, and ``scenes``, the true scene of each. Vectors are not weights: these cannot be had back.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from similarity.engine import images, vgg16
from tools import scenes
from tools.demo import PICTURES

FILE = Path(__file__).resolve().parents[2] / "tests" / "data" / "demo_vectors.npz"


def main() -> None:
    """Make the pictures, embed them, and write the file."""
    model = vgg16.load(weights=sys.argv[1], precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        names = scenes.make_pictures(Path(folder), PICTURES)
        files = sorted(Path(folder).iterdir())
        vectors = [vector for _, vector in vgg16.embed_stream(images.read_many(files), model)]
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, vectors=np.array(vectors, np.float16), scenes=np.array(names))
    print(f"Written: {FILE}, {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
