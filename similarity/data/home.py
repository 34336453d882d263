"""Where OnlyOne keeps what is not in the database."""

import os
from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[2]


def home() -> Path:
    """Return ``$ONLYONE_HOME``, by default ``onlyone`` beside FiftyOne's configuration file; may not exist.

    Raises:
        ValueError: if it is inside the plugin's folder or FiftyOne's plugins folder, which FiftyOne serves
            over HTTP to everyone who can reach the App
    """
    named = os.environ.get("ONLYONE_HOME")
    path = (Path(named).expanduser() if named else _beside_fiftyone() / "onlyone").absolute()
    for served in (PLUGIN, *_plugins_folder()):
        if path.resolve().is_relative_to(served):
            raise ValueError(
                f"ONLYONE_HOME is {path}, inside {served}, which FiftyOne serves over HTTP; "
                "set it to another folder"
            )
    return path


def _beside_fiftyone() -> Path:
    """Return the folder of FiftyOne's configuration file."""
    import fiftyone.constants as foc

    return (
        Path(os.environ.get("FIFTYONE_CONFIG_PATH") or foc.FIFTYONE_CONFIG_PATH)
        .expanduser()
        .absolute()
        .parent
    )


def _plugins_folder() -> list[Path]:
    """Return FiftyOne's plugins folder, if it has one."""
    import fiftyone as fo

    folder = fo.config.plugins_dir
    return [Path(folder).resolve()] if folder else []
