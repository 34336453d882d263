"""The panel's tab of clusters: a review of one after the other, their sizes, and a map."""

from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.result import count
from ...similarity.steps import review
from ...similarity.steps.overview import BARS
from . import charts, parts
from .state import State

_MOST = 24  # pictures of one cluster
_KEYS = "Keys: Space goes on, Alt+B back (Firefox Alt+Shift+B, Mac Ctrl+Option+B)."
_ACTS = {review.DISTINCT: "Keep this too", review.INSTEAD: "Keep this instead", None: "Undo"}
_TOLD = {review.DISTINCT: "kept too", review.INSTEAD: "kept instead", None: "kept"}


def draw(panel: types.Object, events: Any, state: State, dataset: fo.Dataset) -> None:
    """Draw the tab."""
    found = state.found
    if found.counts and state.order:
        _review(panel, events, state, dataset)
    if found.sizes:
        many = f"the {BARS:,} largest of {found.clusters:,}" if found.clusters > BARS else "all of them"
        caption = f"{many.capitalize()}. Click a bar to see the cluster in the grid."
        caption += " The colours of the map say which samples are kept." if found.counts else ""
        section = parts.card(panel, "clusters", "Sizes", caption)
        parts.button(
            parts.row(section, "more"), "map", "Map of the vectors", events.open_map, icon="scatter_plot"
        )
        charts.sizes(section, found.sizes, events.on_bar)
    else:
        section = parts.card(panel, "clusters", "Clusters")
        parts.text(section, "empty", "No two samples are near-duplicates, or nothing was clustered yet.")


def _review(panel: types.Object, events: Any, state: State, dataset: fo.Dataset) -> None:
    number, place = state.order[state.at], f"{state.at + 1:,} of {len(state.order):,}"
    members = review.members(dataset, state.run_key, number)
    seen = review.reviewed(dataset, state.run_key) & set(state.order)
    done = f"{len(seen):,} of {len(state.order):,} reviewed"
    caption = f"Cluster {place}, the least similar first: {count(len(members), 'sample')}. {done}. {_KEYS}"
    section = parts.card(panel, "review", "Review", caption)
    line = parts.row(section, "line")
    parts.button(line, "back", "Back", events.previous, disabled=state.at == 0, access_key="b")
    parts.button(
        line,
        f"next_{state.at}_{state.moves}",  # a new one each time, which takes the keyboard; FiftyOne keeps Enter for itself
        "Looks right, next" if state.at + 1 < len(state.order) else "Looks right, done",
        events.next,
        main=True,
        autofocus=True,
    )
    parts.button(line, "distinct", "All different", events.all_different)
    parts.button(line, "grid", "In grid", events.show_cluster)
    pictures = [_picture(events, member) for member in members[:_MOST]]
    columns = "repeat(auto-fill, minmax(180px, 1fr))"
    parts.pictures(section, "members", pictures, dataset, columns, "170px")
    if len(members) > _MOST:
        parts.text(section, "rest", f"And {len(members) - _MOST:,} more, which are more similar.")


def _picture(events: Any, member: review.Member) -> parts.Picture:
    """Return a picture of the cluster; a click on it, or on the button below it, takes the next of the decisions."""
    if member.reference or (member.kept and member.word is None):
        return parts.Picture(member.file, "reference" if member.reference else "kept", frame=charts.CHOSEN)
    following = review.NEXT[member.word]
    words = _TOLD[member.word] if member.kept else f"{member.similarity:.2f} % similar"
    return parts.Picture(
        member.file,
        words,
        frame=charts.CHOSEN if member.kept else None,
        on_click=events.decide,
        params={"id": member.id, "word": following},
        act=(_ACTS[following], events.decide),
    )
