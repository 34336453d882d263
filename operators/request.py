"""Limits of the App's requests: another site's page can send one, and the App may be shared."""

import os
from pathlib import Path

from ..similarity.engine.weights import IMAGENET, UNTRAINED
from ..similarity.options import OptionError, Options
from ..similarity.ray import VARIABLE as RAY

FOLDERS = "ONLYONE_FOLDERS"
_PATHS = (
    "folder",
    "place",
    "path",
    "picture",
    "weights",
)  # the ``picks`` of options that are paths on the server
_NO_PATHS = (None, IMAGENET, UNTRAINED)


def in_app() -> bool:
    """Return whether this process is the App's server."""
    return "FIFTYONE_SERVER" in os.environ


def check(options: Options) -> None:
    """Refuse a confirmation without a plan, paths outside of ``$ONLYONE_FOLDERS``, and Ray clusters but ``$ONLYONE_RAY``.

    A Ray cluster's answers could run code here.

    Raises:
        OptionError: naming the option, and the setting
    """
    if getattr(options, "confirm", False) and options.plan is None:
        raise OptionError(
            "confirm needs plan here, the name of the plan that the form shows: open the form, read the plan, and tick it"
        )
    address = getattr(options, "ray", None)
    if address not in (None, os.environ.get(RAY)):
        raise OptionError(
            f"ray must be empty here, or the address in {RAY}, which is set where the server is started; got {address!r}"
        )
    for declared in options.declared():
        value = getattr(options, declared.name)
        if declared.picks in _PATHS and value not in _NO_PATHS:
            _check_path(declared.name, value)


def _check_path(name: str, value: str) -> None:
    setting = os.environ.get(FOLDERS)
    if setting is None:
        return
    folders = [Path(folder).expanduser().resolve() for folder in setting.split(os.pathsep) if folder]
    path = Path(value).expanduser().resolve()
    if not any(path.is_relative_to(folder) for folder in folders):
        allowed = ", ".join(map(str, folders)) or "no folder"
        raise OptionError(f"{name} must be inside of {FOLDERS} ({allowed}), got {value!r}")
