"""Only what can be the same: one camera, and within a gap of time."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.removable import call
from tests.vectors import NEAR, column, directions

import fiftyone as fo  # isort: skip

HOUR = 3600


def cluster(samples, **options):
    return call("cluster_duplicates", samples, **{"eps": NEAR, **options})


def keep(samples, **options):
    return call("keep_first_per_cluster", samples, **options)


@pytest.fixture
def car_park(vector_dataset):
    """Two cameras see the same car park at the same hour, two pictures each, this week and the next; one has no time."""
    made = vector_dataset(directions(*[0.0, 0.1] * 4, 0.2))
    monday = datetime(2026, 11, 23, 8, tzinfo=UTC)
    seconds = [timedelta(weeks=week, seconds=second) for week in (0, 1) for second in (0, HOUR)]
    made.set_values("camera", [*"AABBAABB", "A"])
    made.set_values("taken", [monday + seconds[i] for i in (0, 1, 0, 1, 2, 3, 2, 3)] + [None])
    return made


def test_other_cameras_and_the_next_week_are_no_duplicates(car_park):
    result = cluster(car_park, within="camera", order_field="taken", max_gap=HOUR)
    assert column(car_park, "dedup_cluster") == [0, 0, 1, 1, 2, 2, 3, 3, -1]
    assert (result.clusters, result.noise, result.without_value) == (4, 1, 1)
    assert re.search(r"\b1 sample .*\bwithin\b.*\border_field\b", result.summary())
    assert keep(car_park).kept == 5
    assert cluster(car_park, within="camera").clusters == 2
    assert cluster(car_park, order_field="taken", max_gap=HOUR - 1).clusters == 4  # two cameras, one moment
    assert cluster(car_park).clusters == 1


@pytest.mark.parametrize(
    ("kind", "values", "gap", "labels"),
    [
        (fo.IntField, [1, 3, 4, None], 1, [-1, 0, 0, -1]),
        (fo.FloatField, [0.0, 0.3, 0.7, float("nan")], 0.3, [0, 0, -1, -1]),
        (
            fo.DateField,
            [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 4), None],
            24 * HOUR,
            [0, 0, -1, -1],
        ),
    ],
)
def test_the_gap_is_in_the_fields_unit_and_inclusive(vector_dataset, kind, values, gap, labels):
    made = vector_dataset(directions(0, 0, 0, 0))
    made.add_sample_field("order", kind)
    made.set_values("order", values)
    cluster(made, order_field="order", max_gap=gap)
    assert column(made, "dedup_cluster") == labels


def test_a_dropped_sample_and_its_kept_one_are_within_the_gap_with_cover(vector_dataset):
    made = vector_dataset(directions(*[0.1 * i for i in range(7)]))
    made.set_values("frame", list(range(7)))
    ids = made.values("id")
    cluster(made, order_field="frame", max_gap=2)
    assert column(made, "dedup_cluster") == [0] * 7
    result = keep(made)
    assert (result.kept, result.kept_without_cover) == (3, 1)
    assert column(made, "dedup_kept_id") == [ids[i] for i in (0, 0, 3, 3, 3, 6, 6)]
    chained = keep(made, cover=False)
    assert (chained.kept, chained.kept_with_cover) == (1, 3)
    assert re.search(r"\b0 dropped .*\beps\b.* 4 .*\bmax_gap\b", chained.notes[0])


def test_a_reference_of_another_camera_stands_for_nothing(car_park):
    ids = car_park.values("id")
    car_park.select([ids[0], ids[6]]).tag_samples("old")
    cluster(car_park, within="camera", order_field="taken", max_gap=HOUR, reference="old")
    result = keep(car_park)
    assert (result.samples, result.reference, result.resembling, result.kept) == (7, 2, 2, 3)
    assert column(car_park, "dedup_kept_id") == [
        None,
        *(ids[i] for i in (0, 2, 2, 4, 4)),
        None,
        ids[6],
        ids[8],
    ]


def test_values_that_changed_since_are_refused_and_the_words_of_the_field_too(car_park):
    cluster(car_park, within="camera")
    car_park.limit(1).set_values("camera", ["B"])
    with pytest.raises(ValueError, match=r"'camera'.*'dedup'.*cluster_duplicates"):
        keep(car_park)
    car_park.set_values("boxes", [fo.Detections(detections=[fo.Detection(label="car")])] * 9)
    for name in ("tags", "nothing", "boxes.detections.label"):
        with pytest.raises(ValueError, match=f"within: .*'{name}' .*camera"):
            cluster(car_park, within=name, run_key="other")
    with pytest.raises(ValueError, match=r"order_field: .*'camera' .*taken"):
        cluster(car_park, order_field="camera", max_gap=1, run_key="other")
    for given in ({"within": "dedup_cluster"}, {"order_field": "last_modified_at", "max_gap": 1}):
        with pytest.raises(ValueError, match=r"(within|order_field): .*taken"):
            cluster(car_park, **given)
    assert car_park.list_runs() == ["dedup"]


def test_a_number_that_is_none_is_no_value(vector_dataset):
    made = vector_dataset(directions(0, 0, 0))
    made.add_sample_field("camera", fo.FloatField)
    made.set_values("camera", [float("nan"), 1.0, 1.0])
    assert cluster(made, within="camera").without_value == 1
    assert column(made, "dedup_cluster") == [-1, 0, 0]
