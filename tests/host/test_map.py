"""The map of the vectors: what it shows, when it is current, and whose it is."""

import numpy as np
import pytest

from tests import support
from tests.vectors import directions

import fiftyone as fo  # isort: skip
import fiftyone.brain as fob  # isort: skip

KEY = "dedup_map"


@pytest.fixture
def drawn():
    """``drawn(dataset)``: draw the map of the vectors in ``vgg16``, or another field, and return its points by id."""
    step = support.plugin("similarity.steps.map")

    def draw(made, field="vgg16"):
        result = step.draw_map(made, field, KEY)
        found = made.load_brain_results(KEY)
        assert result.samples == len(found.points)
        return dict(zip(found.sample_ids, found.points, strict=True))

    return draw


def is_current(made, field="vgg16"):
    return support.plugin("similarity.steps.map").is_current(made, field, KEY)


def test_a_map_is_current_until_a_vector_changes(vector_dataset, drawn):
    made = vector_dataset(directions(0, 1, 40, 90))
    assert not is_current(made)
    drawn(made)
    assert is_current(made)
    made.tag_samples("day")  # which changes when the samples were modified last
    assert is_current(made)
    made.set_values("vgg16", directions(0, 1, 40, 91))
    assert not is_current(made)
    drawn(made)
    assert is_current(made)


def test_the_map_of_another_field_takes_the_place_of_ours(vector_dataset, drawn):
    made = vector_dataset(directions(0, 1, 40, 90))
    drawn(made)
    made.add_sample_field("clip", fo.VectorField)
    made.set_values("clip", directions(90, 1, 40, 0))
    assert not is_current(made, "clip")
    drawn(made, "clip")
    assert is_current(made, "clip")
    assert not is_current(made)


def test_the_map_of_a_grouped_dataset_is_current_once_it_is_drawn(dataset, drawn):
    made = dataset()
    made.add_group_field("group", default="left")
    for number, vector in enumerate(directions(0, 1, 40)):
        group = fo.Group()
        for side in ("left", "right"):
            file = f"/nowhere/{number}{side}.png"
            made.add_sample(fo.Sample(filepath=file, group=group.element(side), vgg16=vector))
    assert len(drawn(made)) == 6
    assert is_current(made)


def test_vectors_that_cannot_be_used_are_not_on_the_map(vector_dataset, drawn):
    usable = directions(0, 1, 40)
    made = vector_dataset([*usable, [np.nan, 1], np.ones(3), np.zeros(2), None])
    assert set(drawn(made)) == set(made.values("id")[: len(usable)])
    assert is_current(made)


@pytest.mark.parametrize("vectors", [directions(0), np.ones((3, 1))])
def test_too_little_for_a_map_is_refused_in_a_sentence(vector_dataset, drawn, vectors):
    with pytest.raises(ValueError, match="A map needs 2 samples or more"):
        drawn(vector_dataset(vectors))


def test_a_persons_own_brain_run_of_that_name_is_refused_and_stays(vector_dataset, drawn):
    made = vector_dataset(directions(0, 1, 40))
    fob.compute_visualization(made, embeddings="vgg16", method="pca", brain_key=KEY)
    made.reload()
    before = made.get_brain_info(KEY).timestamp
    for attempt in (drawn, is_current):
        with pytest.raises(ValueError, match="is not OnlyOne's"):
            attempt(made)
    assert made.get_brain_info(KEY).timestamp == before
