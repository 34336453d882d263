"""The demo's pictures: 28 scenes, each photographed many times with small differences.

The scenes are photographs that come inside scikit-image and scikit-learn, so nothing is downloaded. No two of
them are near-duplicates: of twin textures (grass, gravel) or near-empty pictures (the moon's halves) there is
one.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

WHOLE = (
    "brick.png", "camera.png", "cell.png", "clock_motion.png", "coins.png", "color.png", "grass.png",
    "horse.png", "hubble_deep_field.jpg", "ihc.png", "logo.png", "moon.png", "motorcycle_left.png",
    "page.png", "phantom.png", "text.png",
)  # fmt: skip
HALVED = ("retina.jpg", "astronaut.png", "china.jpg", "flower.jpg", "rocket.jpg", "coffee.png")

SIDE = 420  # longer side of a scene, in pixels
SHIFT = 0.02  # of the scene's width and height, at most, between any two of its pictures
LIGHT = 0.07  # lighter or darker, at most
QUALITY = (60, 95)  # of the JPEG, both included


def scenes() -> dict[str, Image.Image]:
    """Return the 28 scenes by name, at most ``SIDE`` pixels wide and high, RGB."""
    found = {Path(name).stem: photograph(name) for name in WHOLE}
    for name in HALVED:
        for side, half in zip(("left", "right"), halves(photograph(name)), strict=True):
            found[f"{Path(name).stem}-{side}"] = half
    for picture in found.values():
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return found


def photograph(name: str) -> Image.Image:
    """Return a picture from scikit-image's or scikit-learn's package as RGB, transparency over white."""
    for folder in photograph_folders():
        if (folder / name).exists():
            with Image.open(folder / name) as picture:
                colored = picture.convert("RGBA")
            paper = Image.new("RGBA", colored.size, "white")
            return Image.alpha_composite(paper, colored).convert("RGB")
    raise FileNotFoundError(
        f"{name} is in neither scikit-image nor scikit-learn; is another version installed?"
    )


def photograph_folders() -> Iterator[Path]:
    """Yield the folders that hold the photographs, without the loaders that may download."""
    import skimage
    import sklearn

    yield Path(skimage.__file__).parent / "data"
    yield Path(sklearn.__file__).parent / "datasets" / "images"


def halves(picture: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the left and the right half; they do not overlap."""
    middle = picture.width // 2
    return picture.crop((0, 0, middle, picture.height)), picture.crop((middle, 0, 2 * middle, picture.height))


def make_pictures(folder: Path, n: int = 500, seed: int = 51, truth: Path | None = None) -> list[str]:
    """Write ``n`` JPEG pictures of the scenes in random order, the same bytes for the same seed.

    Args:
        folder: where ``000.jpg``, ``001.jpg``, ... go; made if missing
        n (500): how many pictures; from 56 on, every scene is in them
        seed (51): of the order and of every difference
        truth (None): a CSV file to write with columns ``picture`` and ``scene``

    Returns:
        the scene of each picture
    """
    rng = np.random.default_rng(seed)
    places = scenes()
    names = shuffled_scenes(list(places), n, rng)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{i:03d}.jpg" for i in range(n)]
    for file, name in zip(files, names, strict=True):
        jittered(places[name], rng).save(file, quality=int(rng.integers(QUALITY[0], QUALITY[1] + 1)))
    if truth:
        write_truth(truth, files, names)
    return names


def shuffled_scenes(names: list[str], n: int, rng: np.random.Generator) -> list[str]:
    """Return ``n`` names in random order and in unequal numbers; three quarters of them are dealt out evenly."""
    even = [name for name in names for _ in range(3 * n // (4 * len(names)))]
    weights = rng.uniform(1, 5, len(names))
    drawn = [*even, *map(str, rng.choice(names, n - len(even), p=weights / weights.sum()))]
    rng.shuffle(drawn)
    return drawn


def jittered(scene: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the scene as the same camera may show it a moment later: a little beside, lighter or darker."""
    width, height = scene.size
    left, top = (side * rng.uniform(0, SHIFT) for side in (width, height))
    box = (round(left), round(top), round(left + width * (1 - SHIFT)), round(top + height * (1 - SHIFT)))
    light = 1 + rng.uniform(-LIGHT, LIGHT)
    return scene.crop(box).point(lambda value: value * light)


def write_truth(file: Path, pictures: list[Path], names: list[str]) -> None:
    """Write which scene each picture shows: what the job is tested against, and never sees."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["picture", "scene"])
        rows.writerows(zip((picture.name for picture in pictures), names, strict=True))


def read_truth(file: Path) -> dict[str, str]:
    """Return the scene of each picture, by file name."""
    with file.open(newline="") as table:
        return {row["picture"]: row["scene"] for row in csv.DictReader(table)}
