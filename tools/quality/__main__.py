"""Measure on real pictures and write docs/quality.md: ``make quality DATA=... [WEIGHTS=untrained] [PEERS=1]``."""

import argparse
import os
import sys
from pathlib import Path

from similarity.engine.vgg16 import LAYERS, WeightsUnavailable

from .hashes import distance, hash_files
from .measure import Choose, measure
from .page import Results, render
from .peers import Peer, measure_peers
from .sets import SETS, read_labels
from .vectors import embed

DOCS = Path(__file__).resolve().parents[2] / "docs"
PEERS_DISTANCE = 4  # Hamming; only the figures at the best and at several distances are published


def main() -> None:
    """Measure and write the page; without a data folder say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="", help="folder with labels.csv and the pictures")
    parser.add_argument("--weights", default="untrained", help="imagenet, untrained, or a weights file")
    parser.add_argument("--peers", action="store_true", help="install and measure other tools too")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write into")
    arguments = parser.parse_args()
    if not arguments.data:
        print("Nothing measured: name a folder of pictures with known truth, make quality DATA=path/to/data")
        return
    try:
        results = measure_all(Path(arguments.data), arguments.weights, arguments.docs, arguments.peers)
    except (FileNotFoundError, WeightsUnavailable) as error:
        sys.exit(f"error: {error}")
    (arguments.docs / "quality.md").write_text(render(results), encoding="utf-8")
    print(f"Written: {arguments.docs / 'quality.md'}")


def measure_all(data: Path, weights: str, docs: Path, with_peers: bool = False) -> Results:
    """Measure every layer and hash on every set, other tools where asked for, and draw the curves."""
    from .charts import draw

    pictures = read_labels(data)
    paths, cache = [data / picture.path for picture in pictures], cache_folder()
    layers = {layer: embed(paths, layer, weights, cache) for layer in LAYERS}
    hashes = _hashes(paths, cache)
    peers = measure_peers(paths, cache) if with_peers else None
    results = Results(weights=Path(weights).name, layers={}, hashes={}, peers=peers)
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
        drawn = results.hashes.get(chosen.name, {})
        if peers:
            results.measured[chosen.name] = {
                name: measure(members, peer.rows[rows], metric=peer.metric, choose=_own_or_ours(peer))
                for name, peer in peers.found.items()
            }
            drawn = drawn | {
                name: found
                for name, found in results.measured[chosen.name].items()
                if peers.found[name].metric == "cosine"  # the hashes are much like the two above
            }
        file = docs / "images" / f"quality-{chosen.name}.png"
        draw(chosen.title, results.layers[chosen.name], drawn, file)
    return results


def _own_or_ours(peer: Peer) -> Choose | None:
    """For vectors the engine's suggestion, for hashes the tool's own threshold."""
    return None if peer.metric == "cosine" else lambda _: (peer.own, True)


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
