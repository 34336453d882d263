"""Pictures that are easily decoded to nothing, through the operators; and what counts as a copy."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tests import support
from tools import scenes
from tools.quality import decoding

import fiftyone as fo  # isort: skip

NEAR = 1e-4  # below the distance of any two of the photographs, with untrained weights
PHOTOGRAPHS = ("camera.png", "coins.png", "coffee.png", "astronaut.png", "china.jpg", "retina.jpg")
FLAT = ("sheets of one colour", "photographs reduced to 11 levels of nearly white")


def operator(name):
    return support.foo.get_operator(support.uri(name))


def find_unique(made):
    return operator("find_unique_samples")(made, weights="untrained", eps=NEAR)


@pytest.fixture(scope="module")
def photographs():
    found = [scenes.photograph(name) for name in PHOTOGRAPHS]
    for photograph in found:
        photograph.thumbnail((200, 200))
    return found


@pytest.fixture
def written(photographs, dataset, tmp_path):
    """``written(kind)``: a dataset of the photographs as files of a kind."""

    def make(kind):
        paths = [tmp_path / f"{number}.png" for number in range(len(photographs))]
        for photograph, path in zip(photographs, paths, strict=True):
            decoding.KINDS[kind](photograph, path)
        return dataset(paths)

    return make


@pytest.mark.parametrize("kind", [kind for kind in decoding.KINDS if kind not in FLAT])
def test_different_pictures_of_a_kind_are_all_kept(written, kind):
    result = find_unique(written(kind))
    assert (result.kept, result.dropped, result.skipped) == (len(PHOTOGRAPHS), 0, {})


@pytest.mark.parametrize("kind", FLAT)
def test_pictures_without_contrast_are_skipped_and_listed_and_never_dropped(
    written, photographs, tmp_path, kind
):
    made = written(kind)
    photographs[0].save(tmp_path / "photograph.png")
    made.add_sample(fo.Sample(filepath=str(tmp_path / "photograph.png")))
    result = find_unique(made)
    assert (result.kept, result.dropped, len(result.skipped)) == (1, 0, len(PHOTOGRAPHS))
    assert all("without contrast" in error for error in made.limit(len(PHOTOGRAPHS)).values("vgg16_error"))
    assert result.embedding.tables()["skipped"][0]["reason"].startswith("without contrast")


@pytest.fixture
def three_files_of_a_picture(photographs, dataset, tmp_path):
    """One picture, its copy, the same pixels in another format, and another picture."""
    first, copy, other_format, another = (tmp_path / name for name in ("a.png", "b.png", "c.tif", "d.png"))
    photographs[0].save(first)
    shutil.copy(first, copy)
    photographs[0].save(other_format)
    photographs[1].save(another)
    return dataset([first, copy, other_format, another])


def test_only_equal_bytes_make_a_copy_and_what_the_model_takes_for_equal_is_listed_apart(
    three_files_of_a_picture,
):
    made = three_files_of_a_picture
    result = find_unique(made)
    assert (result.kept, result.dropped, result.copies, result.identical) == (2, 2, 1, 1)
    assert [pair.id for pair in result.identical_pairs] == [made.values("id")[2]]
    assert [(row["dropped"], row["kept"]) for row in result.tables()["identical_pairs"]] == [
        ("c.tif", "a.png")
    ]
    facts = support.plugin("similarity.data.runs").load(made, "dedup")["steps"]["keep"]
    assert (facts["copies"], facts["identical"]) == (1, 1)


def test_nothing_is_called_a_copy_where_the_vectors_are_of_other_origin(vector_dataset):
    made = vector_dataset(np.eye(4)[[0, 0, 0, 1]], field="theirs")
    made.set_values("vgg16_digest", ["same"] * 4)
    made.set_values("theirs_digest", ["same"] * 4)
    operator("cluster_duplicates")(made, embeddings_field="theirs", eps=NEAR)
    result = operator("keep_first_per_cluster")(made)
    assert (result.dropped, result.copies, result.identical) == (2, 0, 2)


def test_a_picture_without_contrast_cannot_be_searched_for(three_files_of_a_picture, tmp_path):
    made = three_files_of_a_picture
    find_unique(made)
    operator("build_similarity_index")(made)
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="without contrast"):
        operator("sort_by_similarity")(made, picture=str(tmp_path / "sheet.png"))
