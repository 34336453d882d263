"""Every step, killed at every kind of moment: running it again ends where an undisturbed run ends, and nothing is gone.

Two moments a step; ``MOMENTS=50`` (``make torture``) takes more moments, and more steps.
"""

import os
import uuid
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests import mortal
from tests.deduplicated import delete_run
from tests.host.compare import differences, digest, files, renamed, state
from tests.removable import FIELD, copy_of, delete, trashed

import fiftyone as fo  # isort: skip

MOMENTS = int(os.environ.get("MOMENTS", "2"))

EMBED = ["compute_embeddings", {"weights": "untrained"}]
CLUSTER, KEEP = ["cluster_duplicates", {"eps": 0.05}], ["keep_first_per_cluster", {}]
INDEX = ["build_similarity_index", {}]
REMOVE, RESTORE = ["remove_duplicates", {"confirm": True}], ["restore_removed", {}]
TRASH = ["remove_duplicates", {"confirm": True, "files": "trash"}]

# The dataset that a trial begins with, what is done to it before, and what is killed.
STEPS = {
    "embedding": ("pictures", [], [EMBED]),
    "labels": ("vectors", [], [CLUSTER, KEEP]),
    "index": ("precious", [], [INDEX]),
    "restoration": ("precious", [REMOVE], [RESTORE]),
    "removal with files": ("precious", [], [TRASH]),
}
MORE_STEPS = {
    "removal": ("precious", [], [REMOVE]),
    "labels again": ("precious", [], [CLUSTER, KEEP]),
    "index again": ("precious", [INDEX], [INDEX]),
}
if MOMENTS > 2:
    STEPS |= MORE_STEPS

OURS = ("dedup_", "vgg16", "onlyone_")

# What a step says if it had finished just when it was killed.
FINISHED = "are in an archive"


@pytest.fixture(scope="module")
def bases(precious):
    """The datasets that trials begin with: before embedding, before clustering, and before removal."""
    vectors = precious.clone(f"base-{uuid.uuid4().hex[:10]}")
    delete_run(vectors)
    pictures = vectors.clone(f"base-{uuid.uuid4().hex[:10]}")
    pictures.delete_sample_fields([name for name in pictures.get_field_schema() if name.startswith(FIELD)])
    yield {"precious": precious, "vectors": vectors, "pictures": pictures}
    delete([vectors.name, pictures.name])


class Trial:
    """One dataset, with files of its own."""

    def __init__(self, base: fo.Dataset, folder: Path, mortals: mortal.Mortals):
        self.folder, self.mortals = folder, mortals
        self.dataset = copy_of(base, folder / "pictures")
        if not base.has_sample_field(FIELD):
            self._draw()

    def _draw(self) -> None:
        """Make the files pictures: three of each scene."""
        for n, path in enumerate(sorted((self.folder / "pictures").iterdir())):
            Image.linear_gradient("L").rotate(90 * (n // 3)).resize((20 + n, 20)).save(path)
            os.utime(path, (1_600_000_000 + n, 1_600_000_000 + n))

    def run(self, steps, die=None) -> mortal.Outcome:
        """Run steps in a process of their own, which may die."""
        return self.mortals.run({"dataset": self.dataset.name, "steps": steps, "die": die})[0]

    def world(self, results: bool = True) -> dict:
        """All that there is of the dataset: itself, its archive and its files; a killed run's results may be unreadable."""
        archive_name = f"{self.dataset.name}-dedup-removed"
        names = {str(self.folder): "<folder>"}
        names |= {path.lstrip("/"): placeholder for path, placeholder in names.items()}
        names |= {self.dataset.name: "<dataset>", str(self.dataset._doc.id): "<dataset id>"}
        found = {
            "dataset": state(self.dataset, results),
            "datasets": fo.list_datasets(f"{self.dataset.name}*"),
            "files": files(self.folder),
            "trash": {origin: digest(path) for origin, path in trashed(self.folder).items()},
            "archive": None,
        }
        if fo.dataset_exists(archive_name):
            archive = fo.load_dataset(archive_name)
            found["archive"] = state(archive)
            names[str(archive._doc.id)] = "<archive id>"
        return renamed(found, names)

    def ranking(self) -> list[str]:
        """The answer of the similarity index, if there is one."""
        if not self.dataset.list_brain_runs():
            return []
        self.dataset.clear_cache()
        index = self.dataset.load_brain_results("vgg16_annoy")
        return [sample_id for sample_id, _ in index.nearest(self.dataset.exists(FIELD).values("id")[0])]


def gone(before: dict, now: dict) -> list[str]:
    """What of a person's is neither in the dataset nor in the archive, nor among the files."""
    here = now["dataset"]["samples"]
    archived = now["archive"]["samples"] if now["archive"] else {}
    lost = []
    for sample_id, values in before["samples"].items():
        found = here.get(sample_id) or archived.get(sample_id) or {}
        mine = {k: v for k, v in values.items() if not k.startswith(OURS) and k != "tags"}
        lost += differences(mine, {k: found.get(k) for k in mine}, sample_id)
        lost += sorted({t for t in values["tags"] if not t.startswith("dedup:")} - set(found.get("tags", ())))
    contents = sorted(set(before["contents"]) - {*now["files"].values(), *now["trash"].values()})
    fields = {n for n in before["fields"] if not n.startswith(OURS)} - set(now["dataset"]["fields"])
    return [*lost, *contents, *sorted(fields)]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_moment_a_step_run_again_ends_where_an_undisturbed_one_does(
    step, bases, mortals, tmp_path
):
    base, first, killed_steps = STEPS[step]
    made: list[Trial] = []

    def trial() -> Trial:
        made.append(Trial(bases[base], tmp_path / uuid.uuid4().hex[:8], mortals))
        if first:
            assert made[-1].run(first).error is None
        return made[-1]

    try:
        undisturbed = trial()
        start = undisturbed.world()
        before = start["dataset"] | {"contents": start["files"].values()}
        if start["archive"]:
            before["samples"] = before["samples"] | start["archive"]["samples"]
        outcome = undisturbed.run(killed_steps)
        assert outcome.error is None
        expected, ranking = undisturbed.world(), undisturbed.ranking()
        assert differences(start, expected) or "again" in step
        failures, deaths = [], 0
        for moment in mortal.moments(outcome, MOMENTS, seed=zlib.crc32(step.encode())):
            victim = trial()
            deaths += victim.run(killed_steps, moment).killed
            failures += [f"{moment}: gone: {line}" for line in gone(before, victim.world(results=False))]
            error = victim.run(killed_steps).error
            if error is not None and FINISHED not in error:
                failures.append(f"{moment}: run again: {error}")
            failures += [f"{moment}: {line}" for line in differences(expected, victim.world())]
            failures += [f"{moment}: {a} != {b}" for a, b in [(victim.ranking(), ranking)] if a != b]
    finally:
        delete([trial.dataset.name for trial in made])
    print(f"{step}: {outcome.writes} writes, {outcome.seconds:.2f} s, {deaths} of {MOMENTS} killed")
    assert failures == []
    assert deaths >= max(1, MOMENTS // 3)
