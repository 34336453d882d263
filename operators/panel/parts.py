"""The panel's building blocks: stacks that fit the panel's width, words, numbers, badges and pictures."""

import os
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import fiftyone as fo
import fiftyone.operators.types as types

from ...similarity.data.files import unique_names
from ...similarity.engine.images import file_mark
from ...similarity.exports.thumbnails import thumbnails

_LONGEST = 22  # characters of a name below it
_SHOWN_BY_BROWSERS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
_MOST_THUMBNAILS = 512
_thumbnails: dict[tuple[str, str | None], str] = {}

# A grid column is as wide as its widest child unless told otherwise, and a plot takes what it gets.
_COLUMN = {"gridTemplateColumns": "minmax(0, 1fr)"}
# FiftyOne stretches every child of a row to the full width; the doubled class wins over that.
_ROW = {"flexWrap": "wrap", "& > .MuiBox-root": {"width": "auto"}}
_PICTURE = {
    "width": "100%",
    "aspectRatio": "auto 4 / 3",  # a place until it is loaded, when it is seen
    "objectFit": "contain",
    "borderRadius": "4px",
    "display": "block",
    "boxSizing": "border-box",
    "background": "rgba(128, 128, 128, 0.12)",
}
_CARD = {"border": "1px solid", "borderColor": "divider", "borderRadius": "8px", "padding": "16px"}


@dataclass(frozen=True)
class Picture:
    """A picture to be shown.

    Attributes:
        file: None for one that is not known
        words: below it
        frame: colour of a frame around it
        on_click: the panel's method that a click calls with ``params``
        act: label and method of a button below it, called with the same ones
    """

    file: str | None
    words: str
    frame: str | None = None
    on_click: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    act: tuple[str, Any] | None = None


def styled(**styles: dict[str, Any]) -> dict[str, Any]:
    """Return the view argument that gives parts of a component a style."""
    return {"componentsProps": {part: {"sx": style} for part, style in styles.items()}}


def column(panel: types.Object, name: str, gap: float = 1.5) -> types.Object:
    """Add a stack of things below each other, as wide as the panel."""
    return panel.v_stack(name, gap=gap, **styled(grid=_COLUMN))


def row(panel: types.Object, name: str, gap: float = 1, align_y: str = "center") -> types.Object:
    """Add a row that goes on below where the panel is narrow."""
    return panel.grid(name, orientation="2d", gap=gap, align_y=align_y, **styled(grid=_ROW))


def table_row(panel: types.Object, name: str, columns: str, align_y: str = "center") -> types.Object:
    """Add a row of columns, as CSS has them."""
    style = {"display": "grid", "gridTemplateColumns": columns}
    return panel.grid(name, orientation="2d", gap=1, align_y=align_y, **styled(grid=style))


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
    one = panel.v_stack(name, gap=0.25, **styled(container={"minWidth": "68px"}, grid=_COLUMN))
    text(one, "label", label, color="text.secondary", size="0.8125rem")
    text(one, "value", value, bold=True, size="1.375rem")
    if note:
        text(one, "note", note, color="text.tertiary", size="0.75rem")


def button(
    panel: types.Object,
    name: str,
    label: str,
    on_click: Any,
    *,
    main: bool = False,
    autofocus: bool = False,
    access_key: str | None = None,
    **more: Any,
) -> None:
    """Add a button; the main one of a section is filled, and takes the keyboard with ``autofocus``."""
    style = {"whiteSpace": "nowrap", "padding": "4px 12px", "minHeight": "34px", "textTransform": "none"}
    props = {
        "button": {
            "sx": style,
            **({"color": "primary"} if main else {}),
            "autoFocus": autofocus,
            "accessKey": access_key,
        }
    }
    look = "contained" if main else "outlined"
    panel.btn(name, label=label, on_click=on_click, variant=look, componentsProps=props, **more)


def tab(panel: types.Object, label: str, chosen: bool, on_click: Any) -> None:
    """Add a tab, which a click calls ``on_click`` for with its label as ``tab``."""
    line = {
        "border": 0,
        "borderBottom": "2px solid",
        "borderColor": "primary.main" if chosen else "transparent",
    }
    color = "primary.main" if chosen else "text.secondary"
    style = {
        **line,
        "borderRadius": 0,
        "color": color,
        "padding": "8px 12px",
        "textTransform": "none",
        "&:hover": line,
    }
    props = {"button": {"sx": style, "role": "tab", "aria-selected": chosen}}
    panel.btn(
        label.lower(),
        label=label,
        on_click=on_click,
        params={"tab": label},
        variant="outlined",
        componentsProps=props,
    )


def badge(panel: types.Object, name: str, words: str, color: str) -> None:
    """Add a small coloured word; another word is another badge, since a badge keeps its first colour."""
    panel.view(
        f"{name}_{words.lower()}",
        types.PillBadgeView(text=words, color=color, variant="outlined", read_only=True),
    )


def pictures(
    panel: types.Object,
    name: str,
    shown: list[Picture],
    dataset: fo.Dataset,
    columns: str = "repeat(2, minmax(0, 1fr))",
    height: str = "auto",
) -> None:
    """Add pictures in a table; columns and the pictures' height as CSS has them."""
    names = unique_names(dataset, [picture.file for picture in shown if picture.file])
    table = table_row(panel, name, columns, align_y="top")
    for place, picture in enumerate(shown):
        called = names[picture.file] if picture.file else "this file is not known"
        look = _PICTURE | {"border": f"3px solid {picture.frame or 'transparent'}", "height": height}
        look |= {"cursor": "pointer"} if picture.on_click else {}
        image = types.ImageView(
            alt=called,
            operator=picture.on_click,
            params=picture.params,
            componentsProps={"image": {"style": look, "title": picture.file or called, "loading": "lazy"}},
        )
        one = table.v_stack(f"cell_{place}", gap=0.25, **styled(grid=_COLUMN))
        one.str("picture", default=_source(picture.file) if picture.file else "", view=image)
        text(one, "name", _shortened(called), color="text.secondary", size="0.75rem")
        line = row(one, "line", gap=0.5)
        if picture.words:
            text(line, "words", picture.words, size="0.8125rem")
        if picture.act:
            label, method = picture.act
            button(line, "act", label, method, params=picture.params)


def _source(file: str) -> str:
    """Return the picture as large as it is, from the App's server; a small one of a kind that browsers do not show."""
    if PurePath(file).suffix.lower() in _SHOWN_BY_BROWSERS:
        return f"{os.environ.get('FIFTYONE_SERVER_PATH_PREFIX', '')}/media?filepath={quote(file)}"
    place = (file, file_mark(file))
    if place not in _thumbnails:
        _thumbnails[place] = thumbnails([file]).get(file, "")
    while len(_thumbnails) > _MOST_THUMBNAILS:
        _thumbnails.pop(next(iter(_thumbnails)))
    return _thumbnails.get(place, "")


def _shortened(name: str) -> str:
    """Return the end of a file's name, which tells more than its beginning."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"
