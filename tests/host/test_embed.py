import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import bson
import h5py
import numpy as np
import pytest
from PIL import Image

from tests import support

import fiftyone as fo  # isort: skip

step = support.plugin("similarity.steps.embed")
options = support.plugin("similarity.options")
locks = support.plugin("similarity.data.locks")
precisions = support.plugin("similarity.engine.vgg16")
untrained = support.plugin("similarity.engine.untrained")

FIELDS = ("vgg16", "vgg16_digest", "vgg16_file", "vgg16_error")


class Stop(BaseException):
    """What a closed tab or Ctrl-C raises out of a report."""


def embed(samples, report=None, **given):
    given = {"weights": "untrained", **given}
    return step.embed(samples, options.EmbedOptions(**given), *([report] if report else []))


def later(path):
    """Give a file another modification time."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


def replace(path, color, keep_time=False):
    """Other content of the same size."""
    before = path.stat()
    picture = Image.new("RGB", Image.open(path).size, color)
    picture.paste("white", (0, 0, 16, 16))
    picture.save(path)
    assert path.stat().st_size == before.st_size
    shift = 0 if keep_time else 10**9
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + shift))


def state(dataset):
    """Everything of every sample, as the database has it."""
    return list(dataset._sample_collection.find().sort("_id"))


def vectors(dataset):
    return dict(zip(*dataset.values(["id", "vgg16"]), strict=True))


@pytest.fixture(scope="module")
def embedded_once(tmp_path_factory):
    """Four different pictures of the same file size, embedded: forward passes are what takes time here."""
    folder = tmp_path_factory.mktemp("embedded")
    rng = np.random.default_rng(51)
    made = fo.Dataset()
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.bmp")
        made.add_sample(fo.Sample(filepath=str(folder / f"{i}.bmp")))
    embed(made)
    yield made
    made.delete()


@pytest.fixture
def embedded(embedded_once, tmp_path):
    """A dataset of four embedded pictures of the same file size, and their paths; a test may change both."""
    made = embedded_once.clone()
    paths = [Path(shutil.copy2(path, tmp_path)) for path in made.values("filepath")]
    made.set_values("filepath", [str(path) for path in paths])
    yield made, paths
    made.delete()


def test_every_picture_gets_a_vector_and_its_provenance(embedded):
    dataset, _ = embedded
    found = dataset.values("vgg16")
    assert [(v.shape, v.dtype) for v in found] == [((512,), np.float32)] * 4
    assert len({v.tobytes() for v in found}) == 4
    info = dataset.get_field("vgg16").info["onlyone"]
    assert (info["model"], info["layer"], info["weights"]) == ("VGG16", "block5_conv1", "untrained")
    assert info["dimension"] == 512
    assert {"weights_digest", "precision", "preprocessing", "version", "onlyone_version"} <= set(info)


def test_what_is_up_to_date_is_neither_embedded_nor_written_again(embedded):
    dataset, _ = embedded
    before = state(dataset)
    result = embed(dataset)
    assert (result.embedded, result.up_to_date, result.samples) == (0, 4, 4)
    assert state(dataset) == before


def test_the_result_is_plain_values(embedded):
    dataset, _ = embedded
    result = embed(dataset)
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


def test_only_a_new_sample_is_embedded(embedded, pictures):
    dataset, _ = embedded
    before = vectors(dataset)
    dataset.add_sample(fo.Sample(filepath=str(pictures(scenes=1, each=1, seed=7)[0])))
    result = embed(dataset)
    assert (result.embedded, result.up_to_date) == (1, 4)
    after = vectors(dataset)
    assert all(np.array_equal(after[sample_id], vector) for sample_id, vector in before.items())


def test_replaced_content_of_the_same_size_is_embedded_again(embedded):
    dataset, paths = embedded
    before = dataset.values("vgg16")
    replace(paths[1], "red")
    result = embed(dataset)
    assert (result.embedded, result.up_to_date) == (1, 3)
    after = dataset.values("vgg16")
    assert [np.array_equal(a, b) for a, b in zip(after, before, strict=True)] == [True, False, True, True]


def test_a_touched_file_with_the_same_content_costs_no_forward_pass(embedded):
    dataset, paths = embedded
    before = dataset.values("vgg16", "vgg16_digest")
    later(paths[2])
    result = embed(dataset)
    assert (result.embedded, result.up_to_date) == (0, 4)
    assert np.array_equal(dataset.values("vgg16", "vgg16_digest"), before)


def test_a_touched_file_is_read_once_and_then_known_by_its_new_time(embedded):
    dataset, paths = embedded
    later(paths[2])
    embed(dataset)
    replace(paths[2], "red", keep_time=True)  # would be noticed if it were read
    assert embed(dataset).up_to_date == 4


def test_a_file_of_the_same_size_and_time_is_not_read(embedded):
    dataset, paths = embedded
    before = state(dataset)
    replace(paths[0], "blue", keep_time=True)
    assert embed(dataset).up_to_date == 4
    assert state(dataset) == before


def test_recompute_reads_what_size_and_time_hide(embedded):
    dataset, paths = embedded
    before = dataset.values("vgg16")
    replace(paths[0], "blue", keep_time=True)
    assert embed(dataset, recompute=True).embedded == 4
    after = dataset.values("vgg16")
    assert [np.array_equal(a, b) for a, b in zip(after, before, strict=True)] == [False, True, True, True]


def test_byte_identical_files_cost_one_pass_and_get_one_vector(dataset, pictures):
    paths = pictures(scenes=2, each=1, suffix=".png")
    copies = [paths[0].with_name(f"copy{i}.png") for i in range(3)]
    for copy in copies:
        copy.write_bytes(paths[0].read_bytes())
    made = dataset([*paths, *copies])
    result = embed(made)
    assert (result.embedded, result.copies) == (5, 3)
    found = made.values("vgg16")
    assert all(np.array_equal(found[0], vector) for vector in found[2:])


def test_a_new_copy_of_an_embedded_file_takes_its_vector(embedded):
    dataset, paths = embedded
    copy = paths[3].with_name("copy.bmp")
    copy.write_bytes(paths[3].read_bytes())
    dataset.add_sample(fo.Sample(filepath=str(copy)))
    result = embed(dataset)
    assert (result.embedded, result.copies) == (1, 1)
    assert np.array_equal(dataset.last().vgg16, dataset.values("vgg16")[3])
    assert embed(dataset).up_to_date == 5


def test_a_copy_is_embedded_itself_where_the_sample_with_its_vector_is_deleted_meanwhile(embedded):
    dataset, paths = embedded
    copy = paths[3].with_name("copy.bmp")
    copy.write_bytes(paths[3].read_bytes())
    before, twin = dataset.values("vgg16")[3], dataset.last().id
    dataset.add_sample(fo.Sample(filepath=str(copy)))

    def delete(activity, done, total):
        if activity == "Loading the model":
            dataset._sample_collection.delete_one({"_id": bson.ObjectId(twin)})

    assert embed(dataset, delete).embedded == 1
    assert np.array_equal(dataset.last().vgg16, before)


# --- pictures that cannot be read


def unreadable(folder):
    """Files that are no pictures, with a word of the reason to expect."""
    good = folder / "good.png"
    Image.effect_noise((64, 64), 50).save(good)
    header = struct.pack(">IIBBBBB", 10**5, 10**5, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    contents = {
        "truncated.png": (good.read_bytes()[:1500], "damaged or incomplete"),
        "empty.png": (b"", "empty"),
        "text.jpg": (b"not a picture", "not a picture"),
        "huge.png": (huge + struct.pack(">I", 0) + b"IDAT", "pixels"),
        "sheet.pgm": (b"P5 4 4 255 " + bytes(16), "without contrast"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    reasons = {folder / name: reason for name, (_, reason) in contents.items()}
    return {**reasons, folder / "missing.png": "does not exist"}


def test_what_cannot_be_read_is_skipped_counted_and_listed_and_gets_no_vector(dataset, pictures, tmp_path):
    reasons = unreadable(tmp_path)
    good = pictures(scenes=1, each=2)
    made = dataset([good[0], *reasons, good[1]])
    result = embed(made)
    assert (result.samples, result.embedded, len(result.skipped)) == (8, 2, 6)
    for path, word in reasons.items():
        sample = made[str(path)]
        assert sample.vgg16 is None
        assert word in sample.vgg16_error
        assert result.skipped[sample.id] == sample.vgg16_error
        assert result.files[sample.id] == path.name
    assert "6 skipped" in result.summary()
    assert len(result.tables()["skipped"]) == 6
    assert made.exists("vgg16_error").count() == 6


def test_a_file_that_becomes_bad_loses_its_vector_and_one_that_becomes_good_gets_one(embedded):
    dataset, paths = embedded
    good = paths[0].read_bytes()
    paths[0].write_bytes(b"no picture any more")
    paths[1].unlink()
    result = embed(dataset)
    assert (len(result.skipped), result.up_to_date) == (2, 2)
    assert [vector is None for vector in dataset.values("vgg16")] == [True, True, False, False]
    assert dataset.values("vgg16_digest")[:2] == [None, None]
    paths[0].write_bytes(good)
    result = embed(dataset)
    assert (result.embedded, len(result.skipped)) == (1, 1)
    assert dataset.first().vgg16 is not None
    assert dataset.first().vgg16_error is None


def test_a_dataset_of_bad_files_alone_is_reported_not_raised(dataset, tmp_path):
    made = dataset(unreadable(tmp_path))
    result = embed(made)
    assert (result.embedded, len(result.skipped)) == (0, 6)


# --- what one field may hold


def test_another_layer_or_other_weights_are_refused_and_nothing_is_written(embedded):
    dataset, _ = embedded
    before = state(dataset)
    for given, word in (
        ({"layer": "fc2"}, "layer"),
        ({"weights": "imagenet"}, "weights"),
    ):
        with pytest.raises(ValueError, match=f"{word}.*recompute=True"):
            embed(dataset, **given)
    assert state(dataset) == before


def remade(dataset, **told):
    """The dataset, whose vectors another machine or version made."""
    field = dataset.get_field("vgg16")
    field.info = {"onlyone": {**field.info["onlyone"], **told}}
    field.save()
    return dataset


def test_a_field_keeps_its_precision_and_one_that_this_machine_lacks_matters_only_to_compute(
    embedded, pictures, monkeypatch
):
    dataset, _ = embedded
    for own, here in (("float32", True), ("bfloat16", False)):
        monkeypatch.setattr(precisions, "_cpu_has_bfloat16", lambda here=here: here)
        monkeypatch.setattr(precisions, "_gpu_visible", lambda: False)
        made = remade(dataset.clone(), precision=own)
        result = embed(made)
        assert (result.up_to_date, result.provenance["precision"]) == (4, own)
    with pytest.raises(ValueError, match=r"precision .*'bfloat16'.*'float32'"):
        embed(made, precision="float32")
    made.add_sample(fo.Sample(filepath=str(pictures(scenes=1, each=1)[0])))
    with pytest.raises(ValueError, match="bfloat16"):
        embed(made)
    made = remade(dataset.clone(), precision="float32")
    made.add_sample(fo.Sample(filepath=made.first().filepath))
    monkeypatch.setattr(precisions, "_cpu_has_bfloat16", lambda: True)
    assert embed(made, recompute=False).provenance["precision"] == "float32"


def test_vectors_of_an_earlier_version_are_told_apart_and_made_anew_on_demand(embedded):
    made = remade(embedded[0].clone(), version="1", weights_digest="of the file")
    before = state(made)
    with pytest.raises(ValueError, match=r"version .*'1'.*'2'.*recompute=True"):
        embed(made)
    assert state(made) == before
    assert embed(made, recompute=True).embedded == 4
    assert embed(made).up_to_date == 4


def test_weights_are_told_by_their_content_and_found_from_any_folder(embedded, tmp_path, monkeypatch):
    dataset, _ = embedded
    layers = [f"block{block}_conv{i}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)]
    with h5py.File(tmp_path / "mine.weights.h5", "w") as file:
        for layer, (kernel, bias) in zip(layers, untrained.generate(), strict=True):
            file[f"{layer}/kernel"], file[f"{layer}/bias"] = kernel, bias
    monkeypatch.chdir(tmp_path)

    def told():
        info = dataset.get_field("vgg16").info["onlyone"]
        return info["weights"], info["weights_source"]

    assert embed(dataset, weights="mine.weights.h5").up_to_date == 4
    assert told() == ("mine.weights.h5", str(tmp_path / "mine.weights.h5"))
    Path("mine.weights.h5").rename("yours.weights.h5")
    assert embed(dataset, weights=told()[1]).up_to_date == 4  # gone, and not needed
    with pytest.raises(step.vgg16.WeightsUnavailable, match="typo"):
        embed(dataset, weights="typo.weights.h5")
    dataset.add_sample(fo.Sample(filepath=dataset.first().filepath))
    assert embed(dataset, weights="yours.weights.h5").embedded == 1
    assert told() == ("yours.weights.h5", str(tmp_path / "yours.weights.h5"))


def test_recompute_replaces_vectors_of_another_layer(embedded):
    dataset, _ = embedded
    result = embed(dataset, layer="block5_max", recompute=True)
    assert result.embedded == 4
    assert dataset.get_field("vgg16").info["onlyone"]["layer"] == "block5_max"
    assert embed(dataset, layer="block5_max").up_to_date == 4


def test_recompute_on_a_view_does_not_throw_away_the_other_samples_vectors(embedded):
    dataset, _ = embedded
    before = state(dataset)
    with pytest.raises(ValueError, match=r"recompute .*\b3\b"):
        embed(dataset.limit(1), layer="block5_max", recompute=True)
    assert state(dataset) == before


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_somebody_else_is_refused_and_nothing_is_written(dataset, pictures, name):
    made = dataset(pictures(scenes=1, each=2), **{name: ["mine", "mine"]})
    before = state(made)
    with pytest.raises(ValueError, match=f"{name!r}.*embeddings_field"):
        embed(made)
    assert state(made) == before
    assert {field for field in FIELDS if made.has_sample_field(field)} == {name}


def test_without_the_imagenet_weights_the_error_says_where_to_put_them_and_nothing_is_written(
    dataset, pictures, monkeypatch, tmp_path
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    made = dataset(pictures(scenes=1, each=1))
    with pytest.raises(step.vgg16.WeightsUnavailable, match=f"{tmp_path}/models/vgg16"):
        embed(made, weights="imagenet")
    assert not made.has_sample_field("vgg16")


# --- views, and work that is cut short


def test_a_view_embeds_its_samples_alone(dataset, pictures):
    made = dataset(pictures(scenes=3, each=1))
    assert embed(made.limit(2)).samples == 2
    assert made.exists("vgg16").count() == 2
    assert embed(made).up_to_date == 2


def test_a_view_that_hides_the_fields_does_as_well(embedded):
    dataset, _ = embedded
    assert embed(dataset.select_fields("tags")).up_to_date == 4


@pytest.mark.parametrize(("moment", "pictures_in_all"), [(0, 2), (1, 2), (2, 2), (3, 4)])
def test_a_run_cancelled_at_any_report_keeps_what_was_computed_and_the_next_continues(
    dataset, pictures, moment, pictures_in_all
):
    made = dataset(pictures(scenes=pictures_in_all, each=1, size=16))
    reports = []

    def cancel(what, done, total):
        reports.append(what)
        if len(reports) > moment:
            raise Stop

    with pytest.raises(Stop):
        embed(made, cancel)
    saved = vectors(made) if made.has_sample_field("vgg16") else {}
    saved = {sample_id: vector for sample_id, vector in saved.items() if vector is not None}
    assert len(saved) == moment
    result = embed(made)
    assert (result.embedded, result.up_to_date) == (pictures_in_all - moment, moment)
    assert all(np.array_equal(vectors(made)[sample_id], vector) for sample_id, vector in saved.items())


KILLED = """
import importlib, sys, time
import fiftyone as fo, fiftyone.operators as foo
foo.list_operators()
step = importlib.import_module(sys.argv[2] + ".similarity.steps.embed")
options = importlib.import_module(sys.argv[2] + ".similarity.options")
step.FLUSH = 4

def report(what, done, total):
    print(what, done, flush=True)
    if done == 10:
        time.sleep(600)

step.embed(fo.load_dataset(sys.argv[1]), options.EmbedOptions(weights="untrained"), report)
"""


def test_a_killed_worker_loses_at_most_the_last_writes_and_the_next_run_continues(dataset, pictures):
    made = dataset(pictures(scenes=12, each=1, size=16))
    command = [sys.executable, "-c", KILLED, made.name, support.PACKAGE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        for line in worker.stdout:
            if line.split()[-1] == "10":
                break
        with pytest.raises(locks.Busy):
            embed(made)
        worker.send_signal(signal.SIGKILL)
    made.reload()
    assert made.exists("vgg16").count() == 8
    result = embed(made)
    assert (result.embedded, result.up_to_date) == (4, 8)
    assert made.exists("vgg16").count() == made.exists("vgg16_digest").count() == 12


def test_two_embeddings_of_one_field_at_once_are_refused(dataset, pictures):
    made = dataset(pictures(scenes=1, each=1))
    with locks.lock(made, "field-vgg16"), pytest.raises(locks.Busy, match="'field-vgg16'"):
        embed(made)
    assert embed(made).embedded == 1
