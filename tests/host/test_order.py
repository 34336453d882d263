"""Who is first in a cluster: labelled samples, and the criteria of ``order_by``."""

import contextlib
import re

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests import support
from tests.vectors import NEAR, column, declare_as_ours, directions

import fiftyone as fo  # isort: skip

options = support.plugin("similarity.options")

BOX = [0.1, 0.1, 0.5, 0.5]
FOUR = directions(0, 0.1, 0.2, 0.3)


def first(made: fo.Dataset, **given) -> tuple[int, object]:
    """The row of the first of the first cluster, and the result."""
    result = support.plugin("similarity.steps.keep").keep(made, options.KeepOptions(cover=False, **given))
    found = zip(made.values("dedup_cluster"), made.values("dedup_kept"), strict=True)
    return next(row for row, (number, kept) in enumerate(found) if number == 0 and kept), result


@pytest.fixture
def clustered(vector_dataset):
    """``clustered(vectors, **fields)``: a dataset with the run ``dedup``."""

    def make(vectors=FOUR, paths=None, **fields):
        made = vector_dataset(vectors)
        if paths:
            made.set_values("filepath", [str(path) for path in paths])
        for name, values in fields.items():
            made.set_values(name, values)
        cluster = support.plugin("similarity.steps.cluster").cluster
        cluster(made, options.ClusterOptions(eps=NEAR))
        return made

    return make


def boxes(number: int, **more) -> fo.Detections:
    return fo.Detections(
        detections=[fo.Detection(label="a", bounding_box=BOX, **more) for _ in range(number)]
    )


# --- labelled samples


def test_labelled_samples_are_preferred_and_predicted_ones_are_not(clustered):
    made = clustered(
        truth=[boxes(0), None, boxes(1), boxes(1)],
        predicted=[boxes(1, confidence=0.9), boxes(1), None, None],
        place=[fo.GeoLocation(point=[0, 0])] * 4,
        rank=[0, 1, 3, 2],
    )
    assert first(made, order_by="rank")[0] == 3
    row, result = first(made)
    assert (row, result.label_fields, result.labelled, result.labelled_dropped) == (2, ["truth"], 2, 1)
    ids = made.values("id")
    assert [(pair.id, pair.kept_id) for pair in result.labelled_pairs] == [(ids[3], ids[2])]
    assert len(result.tables()["labelled_pairs"]) == 1
    assert re.search(r"\b2 labelled .*\(truth\), 1 is dropped", result.summary())
    assert first(made, label_fields=["predicted"])[0] == 0


def test_without_the_preference_the_result_says_which_labelled_samples_went(clustered):
    made = clustered(truth=[None, fo.Classification(label="a"), None, None])
    row, result = first(made, prefer_labeled=False)
    assert (row, result.labelled_dropped) == (0, 1)
    assert first(made)[1].labelled_dropped == 0


def test_a_label_field_that_holds_no_labels_is_refused(clustered):
    with pytest.raises(ValueError, match=r"label_fields: .*'thruth'.*'truth'"):
        first(clustered(truth=[boxes(1)] * 4), label_fields=["thruth"])
    for option in ("label_fields", "protect_fields"):
        with pytest.raises(ValueError, match=f"{option}: .*'filepath'"):
            first(clustered(), **{option: ["filepath"]})


# --- criteria


def test_the_most_labels_go_first_and_a_second_criterion_breaks_ties(clustered):
    made = clustered(
        truth=[boxes(1), boxes(2), boxes(2), None],
        kind=[None, None, None, fo.Classification(label="a")],
        rank=[0, 2, 1, 3],
    )
    assert first(made, order_by="labels")[0] == 1
    assert first(made, order_by="labels, rank")[0] == 2
    assert first(made, order_by="labels, rank", descending=True)[0] == 1
    with pytest.raises(ValueError, match="'blur'"):
        first(made, order_by="labels, blur")


@pytest.fixture
def blurred(tmp_path):
    """Four pictures of one scene, from soft to sharp and soft again; the sharpest is the third."""
    noise = np.random.default_rng(51).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((640, 480), Image.Resampling.NEAREST)
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, radius in zip(paths, (6, 3, 0, 9), strict=True):
        picture.filter(ImageFilter.GaussianBlur(radius)).save(path)
    return paths


def test_the_sharpest_is_first_whoever_made_the_vectors(clustered, blurred):
    made = clustered(paths=blurred)
    made.set_values("filepath", {made.last().id: "/nowhere/3.png"}, key_field="id")
    assert first(made, order_by="sharpness")[0] == 2
    stored = column(made, "vgg16_sharpness")
    assert stored[2] > stored[1] > stored[0] > 0
    assert stored[3] is None  # a file that is gone comes last

    made.set_values("vgg16_sharpness", [9e9, 1, 1, 1])
    assert first(made, order_by="sharpness")[0] == 0  # measured once


def test_measuring_the_sharpness_can_be_cancelled_and_goes_on_where_it_was(clustered, blurred):
    made, told = clustered(paths=blurred), []
    step = support.plugin("similarity.steps.keep").keep

    def progress(activity, done, total):
        if activity == "Measuring sharpness":
            told.append((done, total))
            if done == 2:
                raise KeyboardInterrupt

    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            step(made, options.KeepOptions(order_by="sharpness"), progress)
    assert told == [(0, 4), (1, 4), (2, 4), (0, 2), (1, 2)]
    assert None not in column(made, "vgg16_sharpness")


def test_embedding_stores_the_sharpness_and_an_earlier_field_gets_it_when_asked_for(dataset, blurred, run):
    made = dataset(blurred)
    run("compute_embeddings", made, weights="untrained")
    stored = column(made, "vgg16_sharpness")
    assert np.argmax(stored) == 2

    made.delete_sample_field("vgg16_sharpness")  # as an earlier version left it
    again = run("compute_embeddings", made, weights="untrained")
    assert again.result["up_to_date"] == 4
    assert column(made, "vgg16_sharpness") == [None] * 4
    run("cluster_duplicates", made, eps=0.9)
    run("keep_first_per_cluster", made, order_by="sharpness", cover=False)
    assert column(made, "vgg16_sharpness") == stored


def test_a_field_of_that_name_that_is_somebody_elses_stays(clustered):
    made = clustered(vgg16_sharpness=[1.0] * 4)
    declare_as_ours(made)
    with pytest.raises(ValueError, match="'vgg16_sharpness'"):
        first(made, order_by="sharpness")
    assert column(made, "vgg16_sharpness") == [1.0] * 4
