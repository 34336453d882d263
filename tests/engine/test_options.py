import dataclasses
import re

import numpy as np
import pytest

from similarity import handover_options, options, search_options
from similarity.declare import REQUIRED, OptionError, Options, option
from similarity.options import ClusterOptions, EmbedOptions, KeepOptions, UniqueOptions

EVERY = [
    found
    for found in {**vars(options), **vars(search_options), **vars(handover_options)}.values()
    if isinstance(found, type) and issubclass(found, Options) and found is not Options
]


def test_the_defaults_people_rely_on():
    assert EmbedOptions().to_dict() | ClusterOptions().to_dict() | KeepOptions().to_dict() == {
        "embeddings_field": "vgg16",
        "layer": "block5_conv1",
        "weights": "imagenet",
        "precision": "auto",
        "max_pixels": 178_956_970,
        "recompute": False,
        "pictures": "shared",
        "ray": None,
        "run_key": "dedup",
        "eps": "auto",
        "target": None,
        "reference": None,
        "within": None,
        "order_field": None,
        "max_gap": None,
        "metric": "cosine",
        "min_samples": 2,
        "tag_clusters": 1_000,
        "splits": None,
        "confirm": False,
        "plan": None,
        "order_by": "view",
        "descending": False,
        "prefer_labeled": True,
        "label_fields": None,
        "protect_fields": None,
        "protect_tags": None,
        "cover": True,
    }


@pytest.mark.parametrize("found", EVERY, ids=lambda found: found.__name__)
def test_every_option_has_a_help_a_kind_and_a_default_within_its_bounds(found):
    declared = list(found.declared())
    assert found.names() == tuple(one.name for one in declared)
    required = {one.name: "x" for one in declared if one.default == REQUIRED}
    assert found(**required).to_dict().keys() == set(found.names())
    for one in declared:
        assert one.help
        assert one.kind in (bool, int, float, str, tuple)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"eps": 0}, "^eps .* 0; .* 0.0$"),
        ({"eps": -0.1}, "^eps .* 0; .*-0.1$"),
        ({"eps": float("nan")}, "^eps .*nan$"),
        ({"eps": float("inf")}, "^eps .*inf$"),
        ({"eps": "near"}, "^eps .*auto.*'near'$"),
        ({"eps": True}, "^eps .*auto.*True$"),
        ({"eps": [0.1]}, "^eps .*0.1"),
        ({"eps": None}, "^eps .*'auto'"),
        ({"min_samples": 10**400}, "^min_samples .* a number"),
        ({"min_samples": 1e30}, "^min_samples .*1e\\+30$"),
        ({"min_samples": 0}, "^min_samples .* 1; .* 0$"),
        ({"min_samples": 2.5}, "^min_samples .* 2.5$"),
        ({"metric": "manhattan"}, "^metric .*cosine, euclidean.*'manhattan'$"),
        ({"tag_clusters": "yes"}, "^tag_clusters .*'yes'$"),
        ({"embeddings_field": 5}, "^embeddings_field .*'5'$"),
        ({"embeddings_field": "a.b"}, "^embeddings_field .*'a.b'$"),
        ({"embeddings_field": " "}, "^embeddings_field .*' '$"),
        *(
            ({"run_key": key}, f"^run_key .*{re.escape(repr(key))}$")
            for key in ("Dedup", "1st", "a b", "a-b", "a__b", "_a", "a_", "ä", "a" * 41, "a:b", "a\nb")
        ),
    ],
)
def test_a_value_outside_its_bounds_names_option_value_and_bound(given, message):
    with pytest.raises(OptionError, match=message):
        ClusterOptions(**given)


@pytest.mark.parametrize("key", ["dedup", "dedup_night", "a", "run2", "a_1", "a" * 40])
def test_run_keys_that_do(key):
    assert ClusterOptions(run_key=key).run_key == key


def test_numbers_arrive_as_plain_python_numbers():
    made = UniqueOptions(eps=np.float32(0.5), min_samples=np.int64(3), recompute=np.bool_(False))
    assert [(type(v), v) for v in (made.eps, made.min_samples, made.recompute)] == [
        (float, 0.5),
        (int, 3),
        (bool, False),
    ]
    assert ClusterOptions(tag_clusters=np.bool_(True)).tag_clusters == 1_000
    assert ClusterOptions(eps="0.1").eps == 0.1
    assert ClusterOptions(min_samples=3.0).min_samples == 3


@pytest.mark.parametrize("word", ["auto", "Auto", " AUTO "])
def test_auto_stands_beside_a_number(word):
    assert ClusterOptions(eps=word).eps == "auto"


def test_texts_may_come_as_a_list_or_with_commas():
    assert KeepOptions(protect_tags=["a", " b "]).protect_tags == ("a", "b")
    assert KeepOptions(protect_tags="a, b").protect_tags == ("a", "b")
    assert KeepOptions(protect_tags=()).protect_tags is None
    assert KeepOptions(protect_tags=["a"]).to_dict()["protect_tags"] == ["a"]
    with pytest.raises(OptionError, match=r"protect_tags must be a list.* 5$"):
        KeepOptions(protect_tags=5)
    with pytest.raises(OptionError, match=r"protect_tags must be a text.* 5$"):
        KeepOptions(protect_tags=[5])


def test_an_unknown_option_names_those_there_are():
    with pytest.raises(OptionError, match=r"'epsilon'.* eps"):
        ClusterOptions.of({"epsilon": 0.1})


def test_options_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClusterOptions().eps = 0.1


def test_the_steps_that_write_vectors_say_so():
    helps = {
        declared: next(o for o in declared.declared() if o.name == "embeddings_field").help
        for declared in (options.EmbedOptions, options.UniqueOptions, options.ClusterOptions)
    }
    assert helps[options.EmbedOptions] == helps[options.UniqueOptions] != helps[options.ClusterOptions]
    assert "receives" in helps[options.EmbedOptions]


def test_the_options_of_all_steps_together_are_handed_on_to_each():
    every = UniqueOptions(eps=0.2, weights="untrained", cover=False, run_key="night")
    assert every.pick(ClusterOptions) == ClusterOptions(eps=0.2, run_key="night")
    assert every.pick(EmbedOptions) == EmbedOptions(weights="untrained")
    assert every.pick(KeepOptions) == KeepOptions(cover=False, run_key="night")


def test_a_required_option_asks_for_a_value():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Needs(Options):
        folder: str = option(REQUIRED, "Where to")

    for missing in ({}, {"folder": None}, {"folder": ""}):
        with pytest.raises(OptionError, match=r"folder .*Where to"):
            Needs.of(missing)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_gap": 60}, "max_gap .*60.0.*order_field"),
        ({"order_field": "taken"}, "order_field .*'taken'.*max_gap"),
        ({"max_gap": -1, "order_field": "taken"}, "max_gap .* 0; .* -1"),
        ({"target": 200, "reference": "old"}, "target .*'200'.* reference .* eps"),
        ({"target": "10 %", "within": "camera"}, "target .*'10 %'.* within .* eps"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(given, words):
    with pytest.raises(OptionError, match=words):
        ClusterOptions(**given)


def test_two_ways_to_choose_the_threshold_are_refused():
    with pytest.raises(OptionError, match=r"eps .*target"):
        ClusterOptions(eps=0.2, target="10 %")
