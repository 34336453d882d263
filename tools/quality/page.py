"""The page that says what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .hashes import DISTANCES, distance
from .measure import Measured, Outcome
from .page_peers import peers_section, table
from .peers import Peers
from .sets import CHANGED, SETS, PictureSet

Report = Mapping[str, Measured]
"""Name of a layer or hash -> what was measured."""

_UNTRAINED = """> **These figures are for untrained weights**: seeded random kernels, for trying the plugin where
> the ImageNet weights cannot be had. They say what the method does, not what trained weights can do. A difference hash of
> 6 to 8 bits finds brackets and test pictures better than these vectors do; among cameras and photos together, the vectors
> find more before anything mixes."""

_COLUMNS = (
    "pictures",
    "differ",
    "eps",
    "kept",
    "mixed clusters",
    "missed pairs",
    "recall",
    "precision",
    "best: kept, mixed, recall",
    "clean: recall",
)

_LIMITS = """What to know when reading these figures:

- A plain black or white picture lies close to a nearly black or white one (`image_417`, `image_588` and `image_591` of
  cleanvision): where there is hardly any texture, little tells two pictures apart. The hashes join such pictures too.
- Frames of a camera that moves (`dashcam_highway`) are one chain to DBSCAN and may come down to one. The last column of the
  tables of cameras says how many stay with `cover=True`, which keeps more where a dropped frame would resemble no kept
  one; where that is no more, the network takes the whole drive for one scene.
- What fills much of a plain picture counts much: cars on bare asphalt, seen from above, keep the frames of
  `car_detection` apart, and every constellation of them is kept.
- A suggestion reads the data only. A heap of test pictures of every sort, with changes of every degree, has no gap to be
  seen, and little is dropped; there a target number, or an eps of one's own, does better."""


@dataclass(frozen=True)
class Results:
    """Everything that was measured: set name -> results; of other tools where they were asked for."""

    weights: str
    layers: dict[str, Report]
    hashes: dict[str, Report]
    peers: Peers | None = None
    measured: dict[str, Report] = field(default_factory=dict)


def render(results: Results) -> str:
    """The page, in Markdown."""
    parts = [
        "# Quality",
        "How well near-duplicates are found on real pictures with known truth. Made by `make quality`; not edited by hand.",
        _UNTRAINED if results.weights == "untrained" else "",
        _how(results.weights),
        _overview(results),
        "## Set by set",
        *[_section(chosen, results) for chosen in SETS if chosen.name in results.layers],
        _kinds(results),
        _hashes(results),
        peers_section(results.peers, results.measured, results.layers),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _how(weights: str) -> str:
    return f"""## How it is measured

Two pictures are *joined* when they are in one cluster (DBSCAN, `min_samples` 2, cosine distance). A pair is right when
both pictures show the same. **Precision** is the share of the joined pairs that are right, **recall** the share of the
pairs of near-duplicates that are joined: copies, other formats, resized, blurred or recompressed pictures, brackets, and
frames of one fixed camera. Crops, flips, rotations, moving cameras and views of one place from elsewhere count for
precision, and for recall in a table of their own.

*Suggested* is the eps that the engine reads off the data of that set alone. *Best* is the single eps with the highest
F1, which only somebody who knows the truth can choose; *clean* is the highest recall that any eps has without a mixed
cluster. A suggestion is good where it is near both. Where the gap is not clear, it drops exact copies only, and says so.

The pictures are not part of the project. To repeat everything, and once more with ImageNet weights:

```
make quality DATA=path/to/data WEIGHTS={weights} PEERS=1
make quality DATA=path/to/data WEIGHTS=imagenet PEERS=1
```"""


def _overview(results: Results) -> str:
    """The first layer on every set."""
    name = next(iter(next(iter(results.layers.values()))))
    measured = {chosen.title: results.layers[chosen.name][name] for chosen in SETS}
    rows = [_row(title, found) for title, found in measured.items()]
    mixing = [title for title, found in measured.items() if found.chosen.mixed]
    nothing = [title for title, found in measured.items() if not found.clear]
    reading = [
        f"- Clusters that mix groups: {_listed(mixing)}."
        if mixing
        else "- No cluster of any set mixes two groups.",
        f"- No clear gap, so that exact copies only are dropped: {_listed(nothing)}." if nothing else "",
        f"- Near the recall of the best eps (nine tenths or more): {_listed(_near(measured, 0.9, 2))}.",
        f"- Far from it (less than half): {_listed(_near(measured, -1, 0.5))}.",
    ]
    lines = "\n".join(line for line in reading if line)
    return f"## What the suggested eps does, with `{name}`\n\n{table(('set', *_COLUMNS), rows)}\n\n{lines}"


def _near(measured: Report, least: float, below: float) -> list[str]:
    """The sets on which the suggestion has this share of the best eps's recall."""
    shares = {title: found.chosen.recall / (found.best.recall or 1.0) for title, found in measured.items()}
    return [title for title, share in shares.items() if least <= share < below]


def _listed(titles: list[str]) -> str:
    return "; ".join(titles) or "none"


def _section(chosen: PictureSet, results: Results) -> str:
    layers, hashes = results.layers[chosen.name], results.hashes.get(chosen.name, {})
    rows = [_row(f"`{name}`", measured) for name, measured in layers.items()]
    rows += [_row(f"{name}, at its best", measured, best_only=True) for name, measured in hashes.items()]
    parts = [
        f"### {chosen.title}",
        f"{chosen.about[0].upper()}{chosen.about[1:]}.",
        f"![Curves: {chosen.title}](images/quality-{chosen.name}.png)",
        table(("told apart by", *_COLUMNS), rows),
        _mixed(layers),
        _scenes(layers),
    ]
    return "\n\n".join(part for part in parts if part)


def _row(name: str, measured: Measured, best_only: bool = False) -> list[str]:
    clean = measured.clean
    chosen = measured.best if best_only else measured.chosen
    eps = "" if best_only else f"{chosen.eps:.2g}" if measured.clear else "copies only"
    return [
        name,
        str(len(measured.pictures)),
        str(measured.groups),
        eps,
        str(chosen.kept),
        str(chosen.mixed),
        str(chosen.missed),
        f"{chosen.recall:.3f}",
        f"{chosen.precision:.3f}",
        _short(measured.best),
        f"{clean.recall:.3f}" if clean else "copies mix",
    ]


def _short(outcome: Outcome) -> str:
    return f"{outcome.kept}, {outcome.mixed}, {outcome.recall:.3f}"


def _mixed(layers: Report, most: int = 3) -> str:
    """The links that mix groups at the suggested eps."""
    lines = [
        f"- `{name}`: `{one}` with `{other}` (distance {length:.2g})"
        for name, measured in layers.items()
        for one, other, length in measured.wrong[:most]
    ]
    return "What mixes at the suggested eps:\n\n" + "\n".join(lines) if lines else ""


def _scenes(layers: Report) -> str:
    """How many frames of each camera are kept."""
    name, measured = next(iter(layers.items()))
    frames: dict[str, int] = {}
    for picture in measured.pictures:
        if picture.kind.startswith("frame"):
            frames[picture.group] = frames.get(picture.group, 0) + 1
    if not frames:
        return ""
    rows = [[group, str(number), *map(str, measured.kept_of(group))] for group, number in frames.items()]
    head = ("camera", "frames", "kept", "kept with `cover`")
    return f"Kept of each camera, `{name}` at the suggested eps:\n\n" + table(head, rows)


def _kinds(results: Results) -> str:
    """What changes to a picture are seen through, on everything at once."""
    layers = results.layers["everything"]
    rows = []
    for kind in CHANGED:
        cells = [measured.found(kind) for measured in layers.values()]
        if any(total for _, total in cells):
            rows.append([kind.replace("_", " "), *(f"{found} of {total}" for found, total in cells)])
    told = (
        "Pictures of each kind that share a cluster with another picture of their group, with everything in one "
        "collection, at the suggested eps. Near the top lie the changes that should be seen through; crops, flips and "
        "rotations move what is where, and the same place from elsewhere is another picture."
    )
    told += "\n\n" + _LIMITS
    head = ("kind", *(f"`{name}`" for name in layers))
    return "\n\n".join(["## Where it shines, where it fails", told, table(head, rows)])


def _hashes(results: Results) -> str:
    """Both hashes at several distances, on every set."""
    parts = [
        "## Perceptual hashes",
        "kept / mixed clusters / recall at a Hamming distance of 64 bits, with the same clustering.",
    ]
    for name in next(iter(results.hashes.values()), {}):
        rows = []
        for chosen in SETS:
            measured = results.hashes[chosen.name][name]
            found = [measured.at(distance(hamming)) for hamming in DISTANCES]
            rows.append([chosen.title, *(f"{o.kept} / {o.mixed} / {o.recall:.2f}" for o in found)])
        parts += [f"### {name}", table(("set", *map(str, DISTANCES)), rows)]
    return (
        "\n\n".join(parts)
        if results.hashes
        else "## Perceptual hashes\n\nNot measured: the package could not be installed."
    )
