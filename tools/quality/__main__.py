"""Measure on real pictures and write docs/quality.md: ``make quality DATA=... WEIGHTS=... [PEERS=1]``."""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from similarity.engine import vgg16
from similarity.engine.calibration import threshold
from similarity.engine.vgg16 import DEFAULT_LAYER, LAYERS, WeightsUnavailable

from .charts import draw
from .decoding import decoding_rows, decoding_table
from .hashes import distance, hash_files
from .measure import Measured, measure
from .page import Candidate, Results, render
from .peers import Peers, measure_peers
from .sets import SETS, Picture, read_labels
from .vectors import embed

DOCS = Path(__file__).resolve().parents[2] / "docs"
UNTRAINED = "untrained"
HASH_BITS = 4  # of the charts; the page tells several distances

_SIDE_BY_SIDE = (
    "block4",
    "block5",
    0.35,
    0.04,
)  # two layers, the second one's share of the squared length, and eps


def main() -> None:
    """Measure and write the page; without a data folder say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="", help="folder with labels.csv and the pictures")
    parser.add_argument("--weights", default=UNTRAINED, help="imagenet, a weights file, or untrained")
    parser.add_argument("--peers", action="store_true", help="install and measure other tools too")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write into")
    arguments = parser.parse_args()
    if not arguments.data:
        print("Nothing measured: name a folder of pictures with known truth, make quality DATA=path/to/data")
        return
    try:
        results = measure_all(Path(arguments.data), arguments.weights, arguments.peers)
    except (FileNotFoundError, WeightsUnavailable) as error:
        sys.exit(f"error: {error}")
    (arguments.docs / "quality.md").write_text(render(results), encoding="utf-8")
    default = (results.trained or results.untrained)[DEFAULT_LAYER].report
    draw({chosen.title: default[chosen.name] for chosen in SETS}, arguments.docs / "images" / "quality.png")
    print(f"Written: {arguments.docs / 'quality.md'}")


def measure_all(data: Path, weights: str, with_peers: bool = False) -> Results:
    """Measure the weights, untrained ones beside them, hashes, and other tools where asked for."""
    pictures = read_labels(data)
    paths, cache = [data / picture.path for picture in pictures], cache_folder()
    unmeasured: dict[str, str] = {}
    trained = {} if weights == UNTRAINED else _candidates(pictures, paths, weights, cache, unmeasured)
    untrained = _candidates(pictures, paths, UNTRAINED, cache, {})
    hashes = {name: (rows, "euclidean", distance(HASH_BITS)) for name, rows in _hashes(paths, cache).items()}
    peers = measure_peers(paths, cache) if with_peers else None
    return Results(
        layer=DEFAULT_LAYER,
        trained=trained,
        untrained=untrained,
        unmeasured=unmeasured,
        decoding=_decoding(weights),
        hashes=_of_sets(pictures, hashes),
        peers=peers,
        peer_figures=_of_sets(pictures, _as_they_come(peers)) if peers else {},
    )


def _decoding(weights: str) -> str:
    """Return the table of pictures that are easily decoded to nothing, at the default's threshold."""
    known = threshold(vgg16.provenance(weights=weights))
    if known is None:
        return ""
    return "\n".join(decoding_table(decoding_rows(weights, DEFAULT_LAYER, known.eps)))


def _candidates(
    pictures: list[Picture], paths: list[Path], weights: str, cache: Path, unmeasured: dict[str, str]
) -> dict[str, Candidate]:
    """Measure each layer at its threshold; note in ``unmeasured`` why one could not be."""
    found: dict[str, np.ndarray] = {}
    candidates = {}
    for layer in LAYERS:
        print(f"  {weights}: {layer}", flush=True)
        try:
            known = threshold(vgg16.provenance(layer=layer, weights=weights))
        except ValueError as error:  # a file without the dense layers
            unmeasured[layer] = str(error)
            continue
        if known is None:
            unmeasured[layer] = "no threshold is known for it"
            continue
        found[layer] = embed(paths, layer, weights, cache)
        candidates[layer] = _candidate(pictures, found[layer], known.eps)
    one, other, share, eps = _SIDE_BY_SIDE
    if weights != UNTRAINED:
        both = [np.sqrt(part) * _unit(found[layer]) for layer, part in ((one, 1 - share), (other, share))]
        candidates[f"{one} beside {other}"] = _candidate(pictures, np.hstack(both), eps)
    return candidates


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _candidate(pictures: list[Picture], vectors: np.ndarray, eps: float) -> Candidate:
    report = {
        name: found["it"] for name, found in _of_sets(pictures, {"it": (vectors, "cosine", eps)}).items()
    }
    return Candidate(vectors.shape[1], report)


def _of_sets(
    pictures: list[Picture], ways: dict[str, tuple[np.ndarray, str, float]]
) -> dict[str, dict[str, Measured]]:
    """Measure ways to tell pictures apart (vectors, metric, threshold) on every set."""
    measured = {}
    for chosen in SETS:
        rows = [row for row, picture in enumerate(pictures) if chosen.holds(picture)]
        members = [pictures[row] for row in rows]
        measured[chosen.name] = {
            name: measure(members, vectors[rows], eps, metric)
            for name, (vectors, metric, eps) in ways.items()
        }
    return measured


def _as_they_come(peers: Peers) -> dict[str, tuple[np.ndarray, str, float]]:
    return {name: (peer.rows, peer.metric, peer.own) for name, peer in peers.found.items()}


def cache_folder() -> Path:
    """Return where vectors are remembered between runs: ``$ONLYONE_HOME/quality``."""
    home = os.environ.get("ONLYONE_HOME") or Path("~", ".fiftyone", "onlyone")
    return Path(home).expanduser().absolute() / "quality"


def _hashes(paths: list[Path], cache: Path) -> dict[str, np.ndarray]:
    try:
        return hash_files(paths, cache)
    except OSError as error:
        print(f"Without perceptual hashes: {error}")
        return {}


if __name__ == "__main__":
    main()
