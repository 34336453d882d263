import dataclasses
import uuid

import pytest

from tests import support
from tests.vectors import NEAR, directions, documents

import fiftyone as fo  # isort: skip

cluster_step = support.plugin("similarity.steps.cluster")
keep_step = support.plugin("similarity.steps.keep")
embed_step = support.plugin("similarity.steps.embed")
options = support.plugin("similarity.options")
sm = support.plugin("similarity.data.samples")

THREE_GROUPS = directions(0, 1, 2, 40, 41, 90)


def deduplicate(samples):
    cluster_step.cluster(samples, options.ClusterOptions(eps=NEAR, confirm=True))
    return keep_step.keep(samples, options.KeepOptions(cover=False))


def embed(samples):
    return embed_step.embed(samples, options.EmbedOptions(weights="untrained"))


@pytest.fixture
def grouped():
    """``grouped(left="image", ...)``: six groups with these slices; the first slice is the active one."""
    every = []

    def make(**slices):
        extension = {"image": "png", "video": "mp4", "point-cloud": "pcd"}
        made = fo.Dataset(f"test-{uuid.uuid4().hex[:10]}")
        every.append(made)
        made.add_group_field("group", default=next(iter(slices)))
        for i in range(6):
            group = fo.Group()
            made.add_samples(
                fo.Sample(filepath=f"/{name}{i}.{extension[kind]}", group=group.element(name))
                for name, kind in slices.items()
            )
        made.add_sample_field("vgg16", fo.VectorField)
        return made

    yield make
    for made in every:
        made.delete()


def test_nothing_but_no_samples_is_an_error_that_says_so(dataset):
    made = dataset()
    for step in (embed, deduplicate):
        with pytest.raises(ValueError, match="no samples"):
            step(made)
    assert made.list_runs() == []
    filled = dataset(["/1.png"])
    with pytest.raises(ValueError, match="no samples"):
        deduplicate(filled.match_tags("nothing"))


def test_one_sample_is_unique(vector_dataset):
    result = deduplicate(vector_dataset(directions(10)))
    assert (result.kept, result.dropped, result.noise) == (1, 0, 1)


def test_of_identical_samples_one_is_kept(vector_dataset):
    result = deduplicate(vector_dataset(directions(*[10] * 8)))
    assert (result.kept, result.dropped, result.worst_similarity) == (1, 7, 100.0)
    assert result.warnings


# --- grouped datasets


def test_the_active_slice_of_a_grouped_dataset_is_deduplicated_and_the_others_are_left_alone(grouped):
    made = grouped(left="image", right="image")
    slices = {name: made.select_group_slices(name).values("id") for name in ("left", "right")}
    sm.write(made, {"vgg16": dict(zip(slices["left"], THREE_GROUPS, strict=True))})
    before = documents(made)
    result = deduplicate(made)
    assert result.view.values("id") == [slices["left"][i] for i in (0, 3, 5)]
    after = documents(made)
    ours = {"dedup_cluster", "dedup_kept", "dedup_kept_id", "dedup_similarity"}
    for sample_id in slices["right"]:
        assert {k: v for k, v in after[sample_id].items() if k not in ours} == {
            k: v for k, v in before[sample_id].items() if k not in ours
        }
        assert all(after[sample_id].get(name) is None for name in ours)
    for word, count in (("kept", 3), ("duplicates", 3), ("clusters", 2), ("worst", 2)):
        assert made.load_saved_view(f"dedup-{word}").count() == count


def test_another_slice_is_chosen_by_making_it_active_or_by_a_view(grouped):
    made = grouped(left="image", right="image")
    right = made.select_group_slices("right").values("id")
    sm.write(made, {"vgg16": dict(zip(right, THREE_GROUPS, strict=True))})
    expected = [right[i] for i in (0, 3, 5)]
    assert deduplicate(made.select_group_slices("right")).view.values("id") == expected
    made.group_slice = "right"
    assert deduplicate(made).view.values("id") == expected


def test_pictures_beside_videos_and_point_clouds_are_deduplicated(grouped):
    made = grouped(left="image", film="video", cloud="point-cloud")
    sm.write(made, {"vgg16": dict(zip(made.values("id"), THREE_GROUPS, strict=True))})
    assert deduplicate(made).kept == 3
    assert made.load_saved_view("dedup-kept").count() == 3


@pytest.mark.parametrize(("name", "kind"), [("film", "video"), ("cloud", "point-cloud")])
def test_a_slice_without_pictures_names_those_that_have_some(grouped, name, kind):
    made = grouped(left="image", **{name: kind})
    made.group_slice = name
    with pytest.raises(ValueError, match=f"'{kind}'.*dataset.group_slice = 'left'"):
        deduplicate(made)


def test_the_slice_of_a_grouped_dataset_is_embedded(grouped, pictures):
    made = grouped(left="image", right="image")
    made.delete_sample_field("vgg16")
    made.set_values("filepath", [str(path) for path in pictures(scenes=1, each=1) * 6])
    assert embed(made).embedded == 6
    assert made.select_group_slices("right").exists("vgg16").count() == 0


# --- group_by views


@pytest.mark.parametrize("order_by", [None, "rank"])
def test_all_members_of_a_group_by_view_are_deduplicated(vector_dataset, order_by):
    made = vector_dataset(THREE_GROUPS)
    made.set_values("scene", ["a", "b", "a", "b", "a", "b"])
    made.set_values("rank", [6, 5, 4, 3, 2, 1])
    ids = made.values("id")
    result = deduplicate(made.group_by("scene", order_by=order_by))
    kept = (0, 3, 5) if order_by is None else (2, 4, 5)
    assert result.view.values("id") == [ids[i] for i in kept]


def test_groups_that_a_group_by_view_leaves_out_stay_out(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    made.set_values("scene", ["a", "a", "a", "b", "b", "c"])
    ids = made.values("id")
    only_a = made.group_by("scene").match(fo.ViewField("scene") == "a")
    assert deduplicate(only_a).view.values("id") == ids[:1]
    small = made.group_by("scene", match_expr=fo.ViewField().length() < 3, flat=True)
    assert deduplicate(small).samples == 3


# --- views


def test_a_view_a_selection_and_a_saved_view_are_deduplicated_among_themselves(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    ids = made.values("id")
    made.save_view("mine", made.select(ids[1:3]))
    for samples, kept in (
        (made.match(fo.ViewField("filepath").ends_with("1.png")), 1),
        (made.select([ids[0], ids[5]]), 2),
        (made.load_saved_view("mine"), 1),
        (made.view(), 3),
    ):
        assert deduplicate(samples).kept == kept


def test_a_view_that_hides_fields_is_deduplicated(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    assert deduplicate(made.select_fields("tags")).kept == 3
    assert deduplicate(made.exclude_fields("vgg16").limit(3)).kept == 1


# --- what has no whole pictures


@pytest.fixture
def labelled(vector_dataset):
    made = vector_dataset(THREE_GROUPS)
    box = fo.Detection(label="cat", bounding_box=[0, 0, 1, 1])
    made.set_values("boxes", [fo.Detections(detections=[box.copy()]) for _ in range(6)])
    return made


def test_patches_are_refused_with_what_to_do(labelled):
    before = documents(labelled)
    for step in (embed, deduplicate):
        with pytest.raises(ValueError, match="patches"):
            step(labelled.to_patches("boxes"))
    assert documents(labelled) == before
    assert labelled.list_runs() == []


@pytest.fixture
def videos(dataset):
    made = dataset()
    sample = fo.Sample(filepath="/film.mp4", metadata=fo.VideoMetadata(total_frame_count=2, frame_rate=1))
    sample.frames[1] = fo.Frame(filepath="/frame1.png")
    sample.frames[2] = fo.Frame(filepath="/frame2.png")
    sample["events"] = fo.TemporalDetections(detections=[fo.TemporalDetection(label="run", support=[1, 2])])
    made.add_sample(sample)
    return made


def test_videos_their_frames_and_their_clips_are_refused_with_what_to_do(videos):
    for samples in (videos, videos.to_frames(), videos.to_clips("events")):
        for step in (embed, deduplicate):
            with pytest.raises(ValueError, match="frames_from_videos"):
                step(samples)
    assert videos.list_runs() == []


def test_pictures_of_frames_made_as_the_error_says_are_deduplicated(videos):
    frames = videos.to_frames().clone()
    frames.set_values("vgg16", list(directions(0, 1)))
    assert deduplicate(frames).kept == 1
    frames.delete()


def test_point_clouds_are_refused(dataset):
    made = dataset(["/cloud.pcd"])
    with pytest.raises(ValueError, match="'point-cloud'"):
        deduplicate(made)


@pytest.mark.parametrize("name", ["picture", "0.mpo", "0.tga", "0.jpg?w=200"])
def test_pictures_of_unknown_extension_are_refused_with_a_remedy_that_works(
    dataset, pictures, tmp_path, name
):
    path = pictures(scenes=1, each=1)[0].rename(tmp_path / name)
    made = dataset([path])
    with pytest.raises(ValueError, match=r'extension.*media_type="image"') as refused:
        embed(made)
    assert repr(name) in str(refused.value)
    remedied = dataset()
    remedied.add_sample(fo.Sample(filepath=str(path), media_type="image"))
    assert embed(remedied).embedded == 1


# --- one go


def test_embedding_clustering_and_keeping_in_one_go(dataset, pictures, tmp_path):
    unique = support.plugin("similarity.steps.unique")
    made = dataset([*pictures(scenes=3, each=3), tmp_path / "missing.png"])
    given = options.UniqueOptions(weights="untrained")
    result = unique.find_unique(made, given)
    assert (result.samples, result.kept, result.dropped, len(result.skipped)) == (10, 3, 6, 1)
    assert (result.clusters, result.noise, result.embedding.embedded) == (3, 0, 9)
    assert isinstance(result.to_dict()["clustering"], dict)
    assert "view" not in result.to_dict()["clustering"]
    assert result.view.values("id") == made.load_saved_view("dedup-kept").values("id")
    assert made.values("dedup_kept").count(True) == 3
    made.add_sample(fo.Sample(filepath=str(pictures(scenes=1, each=1, seed=7)[0])))
    before = documents(made)
    with pytest.raises(ValueError, match=r"\b9\b.*'dedup'.*\b6\b.*confirm=True"):
        unique.find_unique(made.match(fo.ViewField("dedup_kept") != False), given)  # noqa: E712
    assert documents(made) == before  # nor was the new one embedded
    made.delete_samples(made.last().id)
    again = unique.find_unique(made.load_saved_view("dedup-kept"), dataclasses.replace(given, confirm=True))
    assert (again.samples, again.kept, again.embedding.up_to_date) == (3, 3, 3)


def test_vectors_of_another_origin_are_used_as_they_are_and_need_a_threshold(vector_dataset):
    unique = support.plugin("similarity.steps.unique")
    made = vector_dataset(THREE_GROUPS, field="clip")
    result = unique.find_unique(made, options.UniqueOptions(embeddings_field="clip", eps=NEAR, cover=False))
    assert (result.embedding, result.kept) == (None, 3)
    assert "3 kept" in result.summary()
    assert not made.has_sample_field("vgg16")
    with pytest.raises(ValueError, match=r"'clip'.*eps.*target"):
        unique.find_unique(made, options.UniqueOptions(embeddings_field="clip"))


def test_a_view_sorted_by_id_backwards_keeps_its_order(dataset):
    made = dataset([f"{number}.jpg" for number in range(4)])
    flat = support.plugin("similarity.data.samples").flat
    assert flat(made.sort_by("id", reverse=True)).values("id") == made.values("id")[::-1]
