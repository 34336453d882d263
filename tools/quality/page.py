"""The page that says what was measured, in Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .hashes import DISTANCES, distance
from .measure import MARGIN, Measured
from .page_peers import peers_section, table
from .peers import Peers
from .sets import CHANGED, SETS

Report = Mapping[str, Measured]
"""Name of a set -> what was measured."""

_HOW = """## How it is measured

Two pictures are *joined* when they are in one cluster (DBSCAN, `min_samples` 2, cosine distance). **Recall** is the share
of the pairs of near-duplicates that are joined: copies, other formats, resized, blurred or recompressed pictures,
brackets, and frames of one fixed camera. A cluster is **mixed** when it holds pictures that are not the same; no threshold
may mix anything, here or at a tenth above it. *Kept* is one picture of each cluster (`cover=False`); *with cover*, the
default, every dropped picture is within the threshold of a kept one. A recall of 1.000 where a set has no near-duplicates
would say nothing: there stands a dash.

The pictures are not part of the project. To repeat everything:

```
make quality DATA=path/to/data WEIGHTS=path/to/imagenet.weights.h5 PEERS=1
```"""

_WHY = """Why fewer are kept than differ nowhere, and more in some sets:

- *Peers' test pictures* are changed in every degree, crops and strong filters among them: a crop moves what is where, and
  is another picture to a mean over places.
- *Camera sequences*, with cover: cars fill much of a plain road seen from above (`car_detection`), and a camera that moves
  (`dashcam_highway`) is a chain; with cover more of both stay, so that every dropped frame resembles a kept one.
- *Bracketed scenes*: the darkest picture of a bracket shows other structure than the brightest."""

_CHOICE = f"""Each row is one kind of vectors with its threshold, on the same pictures. *First mix* is the threshold at
which the first cluster of any set mixes, as a multiple of the one that is used: it must be above {MARGIN}. *Nearest* is how
far the nearest two different photographs are, in the same measure. *Everything*, *cameras among photos* and *brackets
among photos* say kept / recall with `cover=False`. The default joins the most of what belongs together with the most
margin before anything mixes. Two layers side by side, 1,024 values, would cost twice the memory and time of everything
after them, and buy no margin."""


_DECODING = """Pictures whose content is easily lost on the way to eight bits, made from the photographs that scikit-image
and scikit-learn ship: so many different ones of each kind in, so many kept at the default threshold. A picture that has no
contrast left is skipped and listed, never taken for a copy."""


@dataclass(frozen=True)
class Candidate:
    """A kind of vectors: values each has, and what was measured on each set."""

    values: int
    report: Report


@dataclass(frozen=True)
class Results:
    """Everything that was measured.

    Attributes:
        layer: the default layer
        trained: candidate -> figures of the ImageNet weights
        untrained: the same of untrained ones; empty if they were not measured
        unmeasured: layers without figures, each with the reason
        decoding: the table of pictures that are hard to decode, in Markdown
        hashes: set -> hash -> figures
        peers, peer_figures: other tools, and set -> tool -> figures, where they were asked for
    """

    layer: str
    trained: Mapping[str, Candidate]
    untrained: Mapping[str, Candidate]
    unmeasured: Mapping[str, str]
    decoding: str
    hashes: Mapping[str, Mapping[str, Measured]]
    peers: Peers | None = None
    peer_figures: Mapping[str, Mapping[str, Measured]] = field(default_factory=dict)


def render(results: Results) -> str:
    """Return the page."""
    main = results.trained or results.untrained
    title = (
        "ImageNet's weights" if results.trained else "untrained weights: good for a trial, not for a decision"
    )
    default = main[results.layer].report
    parts = [
        "# Quality",
        f"How well near-duplicates are found on real pictures with known truth, with {title}. Made by `make quality`; not "
        "edited by hand.",
        f"## The defaults: `{results.layer}`, eps {_eps(default):g} ({100 * (1 - _eps(default)):g} % similar)",
        _defaults(default),
        _WHY,
        "![Recall and mixed clusters over eps](images/quality.png)",
        _cameras(default),
        _HOW,
        f"## Which vectors\n\n{_CHOICE}",
        _candidates(main),
        _unmeasured(results.unmeasured),
        f"## Decoding\n\n{_DECODING}\n\n{results.decoding}" if results.decoding else "",
        _kinds(main),
        _hashes(results.hashes),
        peers_section(
            results.peers, results.peer_figures, default, f"`{results.layer}`, eps {_eps(default):g}"
        ),
        _appendix(results) if results.trained else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _eps(report: Report) -> float:
    return next(iter(report.values())).eps


def _defaults(report: Report) -> str:
    head = (
        "set",
        "pictures",
        "differ",
        "kept",
        "with cover",
        "mixed clusters",
        f"mixed at {MARGIN} x",
        "recall",
        "missed pairs",
    )
    rows = []
    for chosen in SETS:
        measured = report[chosen.name]
        at = measured.at(measured.eps)
        numbers = (
            len(measured.pictures),
            measured.groups,
            at.kept,
            int(measured.covering.sum()),
            at.mixed,
            measured.at(MARGIN * measured.eps).mixed,
        )
        rows.append(
            [f"{chosen.title}: {chosen.about}", *map(str, numbers), _recall(measured), str(at.missed)]
        )
    return f"{table(head, rows)}\n\n{_mixed(report)}"


def _recall(measured: Measured) -> str:
    at = measured.at(measured.eps)
    return f"{at.recall:.3f}" if at.recall or at.missed else "-"


def _mixed(report: Report) -> str:
    lines = [
        f"- {chosen.title}: `{one}` with `{other}` (distance {length:.3g})"
        for chosen in SETS
        for one, other, length in report[chosen.name].wrong()
    ]
    return (
        "Different pictures within the threshold:\n\n" + "\n".join(lines)
        if lines
        else "No cluster mixes two groups."
    )


def _cameras(report: Report) -> str:
    """Return how many frames of each camera are kept."""
    measured = report["cameras"]
    frames: dict[str, int] = {}
    for picture in measured.pictures:
        frames[picture.group] = frames.get(picture.group, 0) + 1
    rows = [[group, str(number), *map(str, measured.kept_of(group))] for group, number in frames.items()]
    return "Kept of each camera:\n\n" + table(("camera", "frames", "kept", "with cover"), rows)


def _candidates(candidates: Mapping[str, Candidate]) -> str:
    head = (
        "vectors",
        "values",
        "eps",
        "first mix",
        "recall .95 / .99 at",
        "nearest",
        "everything",
        "cameras among photos",
        "brackets among photos",
        "cameras, with cover",
    )
    rows = []
    for name, candidate in candidates.items():
        report, eps = candidate.report, _eps(candidate.report)
        everything = report["everything"]
        mixing = min(measured.first_mix for measured in report.values())
        reached = " / ".join(f"{everything.reaching(recall) / eps:.2f}" for recall in (0.95, 0.99))
        rows.append(
            [
                name,
                f"{candidate.values:,}",
                f"{eps:g}",
                f"{mixing / eps:.2f}",
                reached,
                f"{report['photos'].nearest / eps:.2f}",
                *(_short(report[chosen]) for chosen in ("everything", "cameras_photos", "scenes_photos")),
                str(int(report["cameras"].covering.sum())),
            ]
        )
    return table(head, rows)


def _short(measured: Measured) -> str:
    at = measured.at(measured.eps)
    return f"{at.kept} / {at.recall:.3f}" + (f", {at.mixed} mixed" if at.mixed else "")


def _unmeasured(reasons: Mapping[str, str]) -> str:
    lines = [f"- `{layer}`: {why}" for layer, why in reasons.items()]
    return "Not measured, and so without a threshold of their own:\n\n" + "\n".join(lines) if lines else ""


def _kinds(candidates: Mapping[str, Candidate]) -> str:
    """Return what changes to a picture are seen through, with everything in one collection."""
    measured = {name: candidate.report["everything"] for name, candidate in candidates.items()}
    rows = []
    for kind in CHANGED:
        cells = [found.found(kind) for found in measured.values()]
        if any(total for _, total in cells):
            rows.append([kind.replace("_", " "), *(f"{found} of {total}" for found, total in cells)])
    told = (
        "Pictures of each kind that share a cluster with another picture of their group, with everything in one "
        "collection. Near the top are the changes that should be seen through; crops, flips and rotations move what is "
        "where, and the same place from elsewhere is another picture."
    )
    return "\n\n".join(["## Where it shines, where it fails", told, table(("kind", *measured), rows)])


def _hashes(hashes: Mapping[str, Mapping[str, Measured]]) -> str:
    """Return both hashes at several distances, on every set."""
    if not hashes:
        return "## Perceptual hashes\n\nNot measured: the package could not be installed."
    parts = [
        "## Perceptual hashes",
        "kept / mixed clusters / recall at a Hamming distance of 64 bits, with the same clustering.",
    ]
    for name in next(iter(hashes.values())):
        rows = []
        for chosen in SETS:
            found = [hashes[chosen.name][name].at(distance(hamming)) for hamming in DISTANCES]
            rows.append([chosen.title, *(f"{o.kept} / {o.mixed} / {o.recall:.2f}" for o in found)])
        parts += [f"### {name}", table(("set", *map(str, DISTANCES)), rows)]
    return "\n\n".join(parts)


def _appendix(results: Results) -> str:
    if not results.untrained:
        return ""
    told = (
        "Seeded random kernels, for trying the plugin where the ImageNet weights cannot be had. Decide nothing by them. "
        "Their thresholds are measured in the same way, plainly black and white test pictures aside."
    )
    default = results.untrained[results.layer].report
    return "\n\n".join(
        ["## Appendix: untrained weights", told, _defaults(default), _candidates(results.untrained)]
    )
