"""Measure on real pictures and write docs/quality.md: ``make quality DATA=... [WEIGHTS=untrained]``."""

import argparse
import os
import sys
from pathlib import Path

from similarity.engine.vgg16 import LAYERS, WeightsUnavailable

from .hashes import distance, hash_files
from .measure import measure
from .page import Results, render
from .sets import SETS, read_labels
from .vectors import embed

DOCS = Path(__file__).resolve().parents[2] / "docs"
PEERS_DISTANCE = 4  # Hamming; only the figures at the best and at several distances are published


def main() -> None:
    """Measure and write the page; without a data folder say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="", help="folder with labels.csv and the pictures")
    parser.add_argument("--weights", default="untrained", help="imagenet, untrained, or a weights file")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write into")
    arguments = parser.parse_args()
    if not arguments.data:
        print("Nothing measured: name a folder of pictures with known truth, make quality DATA=path/to/data")
        return
    try:
        results = measure_all(Path(arguments.data), arguments.weights, arguments.docs)
    except (FileNotFoundError, WeightsUnavailable) as error:
        sys.exit(f"error: {error}")
    (arguments.docs / "quality.md").write_text(render(results), encoding="utf-8")
    print(f"Written: {arguments.docs / 'quality.md'}")


def measure_all(data: Path, weights: str, docs: Path) -> Results:
    """Measure every layer and hash on every set, and draw the curves."""
    from .charts import draw

    pictures = read_labels(data)
    paths, cache = [data / picture.path for picture in pictures], cache_folder()
    layers = {layer: embed(paths, layer, weights, cache) for layer in LAYERS}
    hashes = _hashes(paths, cache)
    results = Results(weights=Path(weights).name, layers={}, hashes={})
    for chosen in SETS:
        rows = [row for row, picture in enumerate(pictures) if chosen.holds(picture)]
        members = [pictures[row] for row in rows]
        print(f"  {chosen.title}", flush=True)
        results.layers[chosen.name] = {name: measure(members, all_[rows]) for name, all_ in layers.items()}
        if hashes:
            results.hashes[chosen.name] = {
                name: measure(
                    members, all_[rows], metric="euclidean", choose=lambda _: (distance(PEERS_DISTANCE), True)
                )
                for name, all_ in hashes.items()
            }
        file = docs / "images" / f"quality-{chosen.name}.png"
        draw(chosen.title, results.layers[chosen.name], results.hashes.get(chosen.name, {}), file)
    return results


def cache_folder() -> Path:
    """What is remembered between runs: ``$ONLYONE_HOME/quality``."""
    home = os.environ.get("ONLYONE_HOME") or Path("~", ".fiftyone", "onlyone")
    return Path(home).expanduser().absolute() / "quality"


def _hashes(paths: list[Path], cache: Path) -> dict:
    try:
        return hash_files(paths, cache)
    except OSError as error:
        print(f"Without perceptual hashes: {error}")
        return {}


if __name__ == "__main__":
    main()
