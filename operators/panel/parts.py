"""The panel's building blocks: stacks that fit the panel's width, words, numbers, badges and pictures."""

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.data.embeddings import file_mark
from ...similarity.data.files import unique_names
from ...similarity.exports.thumbnails import thumbnails

_LONGEST = 22  # characters of a name below it
_MOST_PICTURES = 512
_pictures: dict[tuple[str, str | None], str] = {}

# A grid column is as wide as its widest child unless told otherwise, and a plot takes what it gets.
_COLUMN = {"gridTemplateColumns": "minmax(0, 1fr)"}
# FiftyOne stretches every child of a row to the full width; the doubled class wins over that.
_ROW = {"flexWrap": "wrap", "& > .MuiBox-root": {"width": "auto"}}
_PICTURE = {
    "height": "92px",
    "maxWidth": "150px",
    "objectFit": "cover",
    "borderRadius": "4px",
    "display": "block",
}
_CARD = {"border": "1px solid", "borderColor": "divider", "borderRadius": "8px", "padding": "16px"}


def styled(**styles: dict[str, Any]) -> dict[str, Any]:
    """The view argument that gives parts of a component a style."""
    return {"componentsProps": {part: {"sx": style} for part, style in styles.items()}}


def column(panel: types.Object, name: str, gap: float = 1.5, **style: Any) -> types.Object:
    """Add a stack of things below each other, as wide as the panel."""
    return panel.v_stack(name, gap=gap, **styled(grid={**_COLUMN, **style}))


def row(
    panel: types.Object, name: str, gap: float = 1, align_y: str = "center", **style: Any
) -> types.Object:
    """Add a row that goes on below where the panel is narrow."""
    return panel.grid(name, orientation="2d", gap=gap, align_y=align_y, **styled(grid={**_ROW, **style}))


def card(panel: types.Object, name: str, title: str, caption: str = "") -> types.Object:
    """Add a framed section with a heading."""
    section = panel.v_stack(name, gap=1.5, **styled(container=_CARD, grid=_COLUMN))
    heading = column(section, "heading", gap=0.25)
    text(heading, "title", title, bold=True, size="1rem")
    if caption:
        text(heading, "caption", caption, color="text.secondary")
    return section


def text(
    panel: types.Object,
    name: str,
    words: str,
    *,
    bold: bool = False,
    size: str = "0.875rem",
    color: str = "text.primary",
) -> None:
    """Add words."""
    view = types.TextView(title=words, font_size=size, color=color, bold=bold, padding=0, line_height=1.45)
    panel.view(name, view)


def tile(panel: types.Object, name: str, label: str, value: str, note: str = "") -> None:
    """Add a number with its name above it."""
    one = panel.v_stack(name, gap=0.25, **styled(container={"minWidth": "84px"}, grid=_COLUMN))
    text(one, "label", label, color="text.secondary", size="0.8125rem")
    text(one, "value", value, bold=True, size="1.375rem")
    if note:
        text(one, "note", note, color="text.tertiary", size="0.75rem")


def button(
    panel: types.Object, name: str, label: str, on_click: Any, *, main: bool = False, **more: Any
) -> None:
    """Add a button; the main one of a section is filled."""
    style = {"whiteSpace": "nowrap", "padding": "4px 12px", "minHeight": "34px", "textTransform": "none"}
    props = {"button": {"sx": style, **({"color": "primary"} if main else {})}}
    look = "contained" if main else "outlined"
    panel.btn(name, label=label, on_click=on_click, variant=look, componentsProps=props, **more)


def badge(panel: types.Object, name: str, words: str, color: str) -> None:
    """Add a small coloured word; another word is another badge, since a badge keeps its first colour."""
    panel.view(
        f"{name}_{words.lower()}",
        types.PillBadgeView(text=words, color=color, variant="outlined", read_only=True),
    )


def pairs(
    panel: types.Object, name: str, shown: list[tuple[str | None, str | None, float]], dataset: fo.Dataset
) -> None:
    """Add pairs of pictures, as many beside each other as there is room for.

    Args:
        shown: ``(file, other file, similarity in percent)``; None for a file that is not known
    """
    known = [file for pair in shown for file in pair[:2] if file]
    urls, names = _thumbnails(known), unique_names(dataset, known)
    line = row(panel, name, gap=2, align_y="top")
    for number, (left, right, similarity) in enumerate(shown):
        pair = line.v_stack(f"pair_{number}", gap=0.5, **styled(grid={"gridTemplateColumns": "max-content"}))
        both = pair.grid("pictures", orientation="2d", gap=0.5, **styled(grid={**_ROW, "flexWrap": "nowrap"}))
        for side, file in (("left", left), ("right", right)):
            one = both.v_stack(side, gap=0.25, **styled(grid={"gridTemplateColumns": "max-content"}))
            called = names.get(file or "", "this file is not known")
            view = types.ImageView(
                alt=called, componentsProps={"image": {"style": _PICTURE, "title": called}}
            )
            one.str("picture", default=urls.get(file or "", ""), view=view)
            text(one, "name", shortened(called, _LONGEST), color="text.secondary", size="0.75rem")
        text(pair, "words", f"{similarity:.2f} % similar", color="text.secondary", size="0.8125rem")


def shortened(name: str, longest: int) -> str:
    """The end of a file's name, which tells more than its beginning."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def _thumbnails(files: list[str]) -> Mapping[str, str]:
    """Small pictures as URLs; remembered as long as a file is not written again."""
    marks = {file: (file, file_mark(file)) for file in files}
    missing = [file for file, mark in marks.items() if mark not in _pictures]
    for file, url in thumbnails(missing).items():
        _pictures[marks[file]] = url
    found = {file: _pictures[mark] for file, mark in marks.items() if mark in _pictures}
    while len(_pictures) > _MOST_PICTURES:
        _pictures.pop(next(iter(_pictures)))
    return found
