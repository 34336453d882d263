"""The demo: 500 pictures become 28, through the operators that a person's own data goes through.

Run by ``make demo`` (``APP=0``: without the App) and ``make open``. Everything it makes lies in one folder of its
own, ``$ONLYONE_HOME/demo``: pictures, database, configuration, export. What is up to date there is not made again.
"""

import argparse
import contextlib
import csv
import hashlib
import os
import shutil
import sys
import time
import webbrowser
from collections import Counter
from pathlib import Path
from typing import Any

import PIL

from tools import sandbox, scenes
from tools.app_server import AppServer

NAME = "onlyone-demo"
PICTURES = 500
RUN_KEY = "dedup"
BRAIN_KEY = "vgg16_annoy"
PORT = 5151


def main() -> None:
    """Run the demo, or only open the App on what it made before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--open", action="store_true", help="only open the App on the demo's dataset")
    parser.add_argument("--no-app", action="store_true", help="do not open the App")
    parser.add_argument(
        "--weights", default="", help="a weights file, or untrained; by default ImageNet's, if to be had"
    )
    arguments = parser.parse_args()
    home = demo_folder()
    sandbox.enter(home)
    if not arguments.open:
        deduplicate(home, arguments.weights)
    if not arguments.no_app:
        open_app(home)


def demo_folder() -> Path:
    """Return where the demo lives: ``$ONLYONE_HOME/demo``."""
    home = os.environ.get("ONLYONE_HOME") or Path("~", ".fiftyone", "onlyone")
    return Path(home).expanduser().absolute() / "demo"


def deduplicate(home: Path, weights: str) -> None:
    """Do the whole job and print what came of it."""
    made = make_pictures(home)
    weights = weights or choose_weights()
    dataset = load_dataset(home / "pictures", weights, anew=made)
    find = operator("find_unique_samples")
    result = find(dataset, weights=weights, cover=False, run_key=RUN_KEY)
    print(f"\n{result.summary()}\n{with_cover(result)}\n", flush=True)
    build_index(dataset, changed=result.embedding.embedded > 0)
    export(dataset, home / "export")
    print(f"\n{scene_check(dataset, home / 'truth.csv')}")
    print(f"The kept pictures, and an account of all the others, are in {home / 'export'}")
    print(f"Open this dataset again later:  make -C '{sandbox.CHECKOUT}' open", flush=True)


def make_pictures(home: Path) -> bool:
    """Make the pictures, unless the same recipe made them before; return whether they were made."""
    recipe = home / "pictures.recipe"
    ingredients = (Path(scenes.__file__).read_bytes(), PIL.__version__.encode(), str(PICTURES).encode())
    wanted = hashlib.sha256(b"\0".join(ingredients)).hexdigest()
    if recipe.exists() and recipe.read_text() == wanted:
        print(f"The {PICTURES} pictures are there already", flush=True)
        return False
    print(f"Making {PICTURES} pictures of 28 scenes in {home / 'pictures'}", flush=True)
    shutil.rmtree(home / "pictures", ignore_errors=True)
    scenes.make_pictures(home / "pictures", PICTURES, truth=home / "truth.csv")
    recipe.write_text(wanted)
    return True


def choose_weights() -> str:
    """Return ``"imagenet"`` where Keras's file is there or can be had within seconds, else ``"untrained"``."""
    weights = module("similarity.engine.weights")
    try:
        weights.load("imagenet", 0)
    except weights.WeightsUnavailable as error:
        print(f"\n{error}\nThe demo goes on with untrained weights: for your own pictures, use ImageNet's.\n")
        return "untrained"
    return "imagenet"


def load_dataset(pictures: Path, weights: str, anew: bool) -> Any:
    """Return the demo's dataset, made where it is missing or of other pictures or weights."""
    import fiftyone as fo

    if fo.dataset_exists(NAME):
        dataset = fo.load_dataset(NAME)
        if not anew and dataset.info.get("weights") == weights:
            return dataset
        dataset.delete()
    dataset = fo.Dataset(NAME, persistent=True)
    dataset.add_images_dir(str(pictures), progress=False)
    dataset.info["weights"] = weights  # last: without it the dataset is made anew
    dataset.save()
    return dataset


def with_cover(result: Any) -> str:
    """Say how many the operator keeps by default, and why."""
    return (
        f"This is the literal recipe, the first of each cluster (cover=False). With cover, the default, "
        f"{result.kept_with_cover} are kept: then every dropped picture is within the threshold of a kept one."
    )


def build_index(dataset: Any, changed: bool) -> None:
    """Build the similarity index, unless it holds these vectors already."""
    if not changed and BRAIN_KEY in dataset.list_brain_runs():
        print(f"The similarity index '{BRAIN_KEY}' is up to date", flush=True)
    else:
        print(operator("build_similarity_index")(dataset, brain_key=BRAIN_KEY).summary(), flush=True)


def export(dataset: Any, folder: Path) -> None:
    """Export the kept pictures, unless the folder holds exactly them."""
    kept = {Path(path).name for path in dataset.load_saved_view(f"{RUN_KEY}-kept").values("filepath")}
    with contextlib.suppress(FileNotFoundError), (folder / "manifest.csv").open(newline="") as manifest:
        if kept == {
            Path(row["filepath"]).name for row in csv.DictReader(manifest) if row["status"] == "kept"
        }:
            print("The export is up to date", flush=True)
            return
    shutil.rmtree(folder, ignore_errors=True)
    print(
        operator("export_deduplicated")(dataset, export_dir=str(folder), run_key=RUN_KEY).summary(),
        flush=True,
    )


def scene_check(dataset: Any, truth: Path) -> str:
    """Compare the kept pictures with the scenes, which nothing before this line has seen."""
    scene_of = scenes.read_truth(truth)
    kept = dataset.load_saved_view(f"{RUN_KEY}-kept").values("filepath")
    seen = Counter(scene_of[Path(path).name] for path in kept)
    missing = sorted(set(scene_of.values()) - set(seen))
    several = sorted(scene for scene, count in seen.items() if count > 1)
    if missing or several:
        return f"NOT every scene exactly once. Missing: {missing or 'none'}. More than once: {several or 'none'}."
    return f"Every one of the {len(seen)} scenes is kept exactly once."


def open_app(home: Path) -> None:
    """Open the App on the kept pictures, and wait for Ctrl-C."""
    import fiftyone as fo

    if not fo.dataset_exists(NAME):
        sys.exit("There is no demo yet: run `make demo` first.")
    server = AppServer(home / "app.log", PORT)
    page = f"{server.address}/datasets/{NAME}?view={RUN_KEY}-kept"
    print(f"\nThe App is open at {page}\nCtrl-C ends it.", flush=True)
    webbrowser.open(page)
    try:
        while server.runs:
            time.sleep(1)
    except KeyboardInterrupt:
        print()
    finally:
        server.stop()


def operator(name: str) -> Any:
    """Return one of our operators, to be called like a function."""
    import fiftyone.operators as foo

    return foo.get_operator(f"@onlyone/dedup/{name}")


def module(name: str) -> Any:
    """Return a module of the plugin, as FiftyOne loaded it."""
    import importlib

    import fiftyone.operators as foo

    foo.list_operators()
    return importlib.import_module(f"fiftyone.plugins.orgs.onlyone.dedup.{name}")


if __name__ == "__main__":
    main()
