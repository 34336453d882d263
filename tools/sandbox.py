"""A FiftyOne of one's own: database, plugins folder and configuration files that are never the user's."""

import atexit
import os
from pathlib import Path

from tools.mongod import Mongod

CHECKOUT = Path(__file__).resolve().parents[1]
DATABASE_NAME = "onlyone"


def enter(home: Path, temporary: bool = False) -> Mongod:
    """Point this process and its children at a FiftyOne under ``home``; its one plugin is this checkout.

    Call it before ``fiftyone`` is imported: FiftyOne reads its environment and connects at that moment.

    Args:
        home: a folder, made if missing
        temporary (False): whether ``home`` is deleted when the server ends

    Returns:
        the running database server; it ends with this process
    """
    plugins = home / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    link(plugins / "onlyone-dedup", CHECKOUT)
    server = Mongod(home / "mongo", remove=home if temporary else None)
    for name in [name for name in os.environ if name.startswith("FIFTYONE_")]:
        del os.environ[name]
    os.environ.update(environment(home, server.uri))
    # Registered before FiftyOne's own last question to the database, so done after it.
    atexit.register(server.stop)
    return server


def environment(home: Path, database_uri: str) -> dict[str, str]:
    """Return the variables that keep FiftyOne and the plugin inside ``home``."""
    return {
        "FIFTYONE_DATABASE_URI": database_uri,
        "FIFTYONE_DATABASE_NAME": DATABASE_NAME,
        "FIFTYONE_DATABASE_DIR": str(home / "mongo"),
        # All it would do here is to warn at every start that MongoDB 6 is the oldest one supported.
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_CONFIG_PATH": str(home / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(home / "app_config.json"),
        "FIFTYONE_BRAIN_CONFIG_PATH": str(home / "brain_config.json"),
        "FIFTYONE_ANNOTATION_CONFIG_PATH": str(home / "annotation_config.json"),
        "FIFTYONE_EVALUATION_CONFIG_PATH": str(home / "evaluation_config.json"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(home / "datasets"),
        "FIFTYONE_DATASET_ZOO_DIR": str(home / "datasets"),
        "FIFTYONE_MODEL_ZOO_DIR": str(home / "models"),
        "FIFTYONE_PLUGINS_DIR": str(home / "plugins"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "ONLYONE_HOME": str(home / "onlyone"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def link(place: Path, target: Path) -> None:
    """Make ``place`` a symbolic link to ``target``, also where it pointed to another checkout before."""
    if place.is_symlink() and place.resolve() == target:
        return
    place.unlink(missing_ok=True)
    place.symlink_to(target, target_is_directory=True)
