"""The page's part about other tools."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from .measure import Measured, Outcome
from .peers import Peer, Peers
from .sets import SETS

Report = Mapping[str, Measured]

_TOLD = """What other tools' hashes and vectors make of the same pictures, each from an environment of its own, with the same
clustering for all: it is the pictures' descriptions that are compared here. (By themselves, fastdup joins what its nearest
neighbors connect, and imagededup keeps greedily, without chains.) A cell is kept / mixed clusters / recall. fastdup's
network is trained, and its weights come with its package: beside figures for untrained weights it says what trained ones
can do, not which method is better."""

_MIXED = """What mixes at our suggested eps on their vectors is below. A rule that reads distances alone takes many pictures
of one sort among others, such as motorway cameras among photos, for near-duplicates: look at the pairs before dropping."""


def peers_section(peers: Peers | None, measured: Mapping[str, Report], layers: Mapping[str, Report]) -> str:
    """The section, in Markdown.

    Args:
        peers: what the tools said; None if they were not asked for
        measured: set name -> peer -> what was measured
        layers: set name -> layer -> what was measured
    """
    if peers is None:
        return "## Other tools\n\nNot measured: `PEERS=1` asks for imagededup and fastdup."
    parts = ["## Other tools", _TOLD if peers.found else ""]
    if peers.found:
        parts += [_own(peers, measured, layers), _best(measured, layers), _unread(peers)]
    if peers.failed:
        parts += [
            "What could not be measured where this page was made, in its own words "
            "(imagededup's network downloads its weights):",
            "\n".join(f"- {name}: `{why}`" for name, why in peers.failed.items()),
        ]
    return "\n\n".join(part for part in parts if part)


def table(head: Iterable[str], rows: list[list[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    head = list(head)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _own(peers: Peers, measured: Mapping[str, Report], layers: Mapping[str, Report]) -> str:
    """Each at the threshold that it uses unless told otherwise, and our suggestion on a peer's vectors."""
    layer = _first(layers)
    columns: list[tuple[str, Callable[[str], Outcome]]] = [
        (f"`{layer}`, suggested eps", lambda chosen: layers[chosen][layer].chosen)
    ]
    for name, peer in peers.found.items():
        columns.append((f"{name}, {peer.told}", _at(measured, name, peer)))
        if peer.metric == "cosine":
            columns.append((f"{name}, our suggested eps", _chosen(measured, name)))
    parts = ["### As they come", _outcomes(columns), _mixed(peers, measured)]
    return "\n\n".join(part for part in parts if part)


def _mixed(peers: Peers, measured: Mapping[str, Report]) -> str:
    """Where our suggestion joins what differs, on vectors that it was not made for."""
    lines = []
    for name in (name for name, peer in peers.found.items() if peer.metric == "cosine"):
        for chosen in SETS:
            found = measured[chosen.name][name]
            if found.chosen.mixed:
                one, other, length = found.wrong[0]
                joined = f"`{one}` with `{other}` (distance {length:.2g})"
                lines.append(f"- {name}, {chosen.title}, eps {found.chosen.eps:.2g}: first {joined}")
    return f"{_MIXED}\n\n" + "\n".join(lines) if lines else ""


def _best(measured: Mapping[str, Report], layers: Mapping[str, Report]) -> str:
    """Each at its best, and as clean as it can be."""
    layer = _first(layers)
    columns = {f"`{layer}`": {chosen: report[layer] for chosen, report in layers.items()}}
    for name in next(iter(measured.values())):
        columns[name] = {chosen: report[name] for chosen, report in measured.items()}
    best = _outcomes([(name, _best_of(found)) for name, found in columns.items()])
    rows = [[chosen.title, *(_clean(found[chosen.name]) for found in columns.values())] for chosen in SETS]
    parts = [
        "### At the best threshold of each set",
        "That of the highest F1, which only somebody who knows the truth can choose.",
        best,
        "The highest recall without a mixed cluster:",
        table(["set", *columns], rows),
    ]
    return "\n\n".join(parts)


def _outcomes(columns: list[tuple[str, Callable[[str], Outcome]]]) -> str:
    rows = [[chosen.title, *(_cell(outcome(chosen.name)) for _, outcome in columns)] for chosen in SETS]
    return table(["set", *(head for head, _ in columns)], rows)


def _at(measured: Mapping[str, Report], name: str, peer: Peer) -> Callable[[str], Outcome]:
    return lambda chosen: measured[chosen][name].at(peer.own)


def _chosen(measured: Mapping[str, Report], name: str) -> Callable[[str], Outcome]:
    return lambda chosen: measured[chosen][name].chosen


def _best_of(found: Mapping[str, Measured]) -> Callable[[str], Outcome]:
    return lambda chosen: found[chosen].best


def _cell(outcome: Outcome) -> str:
    return f"{outcome.kept} / {outcome.mixed} / {outcome.recall:.2f}"


def _clean(measured: Measured) -> str:
    return f"{measured.clean.recall:.2f}" if measured.clean else "copies mix"


def _unread(peers: Peers) -> str:
    """Which tools could not read some of the pictures; those are left out of their figures."""
    counts = {name: int(np.isnan(peer.rows).any(axis=1).sum()) for name, peer in peers.found.items()}
    told = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f"Pictures that could not be read, and are left out: {told}." if told else ""


def _first(layers: Mapping[str, Report]) -> str:
    return next(iter(next(iter(layers.values()))))
