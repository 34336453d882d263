"""The page's part about other tools."""

from collections.abc import Iterable, Mapping

import numpy as np

from .measure import Measured
from .peers import Peers
from .sets import SETS

_TOLD = """What other tools' hashes and vectors make of the same pictures, each from an environment of its own, with the same
clustering for all: it is the descriptions of the pictures that are compared here. (By themselves, fastdup joins what its
nearest neighbors connect, and imagededup keeps greedily, without chains.) A cell is kept / mixed clusters / recall, each
tool at the threshold that it uses unless told otherwise."""


def peers_section(
    peers: Peers | None,
    measured: Mapping[str, Mapping[str, Measured]],
    ours: Mapping[str, Measured],
    name: str,
) -> str:
    """Return the section, in Markdown.

    Args:
        peers: what the tools said; None if they were not asked for
        measured: set -> tool -> what was measured at the tool's threshold
        ours: set -> what was measured of the default
        name: the default, in words
    """
    if peers is None:
        return "## Other tools\n\nNot measured: `PEERS=1` asks for imagededup and fastdup."
    parts = ["## Other tools", _TOLD if peers.found else ""]
    if peers.found:
        columns = {name: ours} | {
            f"{tool}, {peer.told}": {chosen: found[tool] for chosen, found in measured.items()}
            for tool, peer in peers.found.items()
        }
        parts += [
            table(["set", *columns], _rows(columns, _as_it_comes)),
            "The highest recall without a mixed cluster, at a threshold that only somebody who knows the truth can choose:",
            table(["set", *columns], _rows(columns, _clean)),
            _unread(peers),
        ]
    if peers.failed:
        parts += [
            "What could not be measured where this page was made, in its own words "
            "(imagededup's network downloads its weights):",
            "\n".join(f"- {tool}: `{why}`" for tool, why in peers.failed.items()),
        ]
    return "\n\n".join(part for part in parts if part)


def table(head: Iterable[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are numbers."""
    head = list(head)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rows(columns: Mapping[str, Mapping[str, Measured]], cell) -> list[list[str]]:
    return [[chosen.title, *(cell(found[chosen.name]) for found in columns.values())] for chosen in SETS]


def _as_it_comes(measured: Measured) -> str:
    at = measured.at(measured.eps)
    return f"{at.kept} / {at.mixed} / {at.recall:.2f}"


def _clean(measured: Measured) -> str:
    return f"{measured.clean.recall:.2f}" if measured.first_mix > 0 else "copies mix"


def _unread(peers: Peers) -> str:
    """Return which tools could not read some of the pictures; those are left out of their figures."""
    counts = {name: int(np.isnan(peer.rows).any(axis=1).sum()) for name, peer in peers.found.items()}
    told = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f"Pictures that could not be read, and are left out: {told}." if told else ""
