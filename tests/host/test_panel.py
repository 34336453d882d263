"""The panel's events, as the App sends them: what a person sees is the steps' own result, whatever happened meanwhile."""

import json

import numpy as np
import pydash
import pytest
from fiftyone.operators.executor import ExecutionContext, Executor

from tests import support
from tests.deduplicated import DROPPED, KEPT, SKIPPED, vectors
from tests.vectors import declare_as_ours

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip

PANEL = support.uri("deduplication")


class Tab:
    """A browser tab with the panel open: it keeps the panel's state, and forgets nothing but what it is told to."""

    def __init__(self, dataset):
        self.dataset, self.state, self.requests = dataset, {}, []

    def send(self, event: str, **params) -> "Tab":
        """Send an event, and take over the state that comes back."""
        params |= {"__method__": event, "panel_id": "panel", "panel_state": self.state}
        request = {"dataset_name": self.dataset.name, "params": json.loads(json.dumps(params)), "view": []}
        executor = Executor()
        foo.get_operator(PANEL).execute(
            ExecutionContext(request_params=request, executor=executor, operator_uri=PANEL)
        )
        self.requests = executor.to_json()["requests"]
        for sent in self.requests:
            if sent["operator_uri"] == "clear_panel_state":
                self.state = {}
            if sent["operator_uri"] == "patch_panel_state":
                for path, value in sent["params"]["state"].items():
                    pydash.set_(self.state, path, value)
        return self

    @property
    def text(self) -> str:
        """All words that the panel shows."""
        return json.dumps(self.asked("show_panel_output"), ensure_ascii=False)

    def asked(self, operator: str) -> dict:
        """What the App was last asked to do by an operator."""
        return [sent["params"] for sent in self.requests if sent["operator_uri"] == operator][-1]

    def forget_server(self) -> None:
        """The App's server starts again."""
        support.plugin("similarity.data.sweeps")._read.cache_clear()
        support.plugin("similarity.steps.sweep").result_of.cache_clear()
        support.plugin("operators.panel.parts")._pictures.clear()


@pytest.fixture
def tab(deduplicated):
    """A tab with the panel open on a finished run."""
    made = deduplicated()
    declare_as_ours(made, dimension=8)
    return Tab(made).send("on_load")


def test_it_shows_the_run_and_the_measured_threshold(tab):
    swept = foo.get_operator(support.uri("sweep_thresholds"))(tab.dataset)
    row = swept.at(swept.eps)
    assert f"Measured: eps {swept.eps:.4g}" in tab.text
    assert f"keeps {row.kept:,} of {swept.samples:,}" in tab.text
    for label, value in (("Kept", KEPT), ("Dropped", DROPPED), ("Skipped", SKIPPED)):
        assert f'"title": "{label}"' in tab.text
        assert f'"title": "{value}"' in tab.text


def test_where_no_threshold_was_measured_the_pairs_are_shown_and_no_mark_is_drawn(tab, vector_dataset):
    other = Tab(vector_dataset(vectors())).send("on_load")
    assert "No threshold was measured" in other.text
    names = [trace["name"] for trace in find_traces(other.asked("show_panel_output"))]
    assert "chosen" in names
    assert "measured" not in names


def test_moving_the_threshold_tells_what_clustering_would_give(tab):
    swept = foo.get_operator(support.uri("sweep_thresholds"))(tab.dataset)
    for place in (5, 40, 95):
        eps = tab.send("on_slider", value=place).state["eps"]
        found = foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=eps, run_key="trial")
        assert f"keeps {found.unique:,} of {swept.samples:,}" in tab.text


def test_what_cover_keeps_is_drawn_where_it_was_counted_and_said_for_the_measured_threshold(tab):
    swept = foo.get_operator(support.uri("sweep_thresholds"))(tab.dataset)
    traces = {trace["name"]: trace for trace in find_traces(tab.asked("show_panel_output"))}
    drawn = dict(zip(traces["kept with cover"]["x"], traces["kept with cover"]["y"], strict=True))
    assert drawn
    for eps, kept in drawn.items():
        foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=eps, run_key="trial")
        keep = foo.get_operator(support.uri("keep_first_per_cluster"))
        assert keep(tab.dataset, run_key="trial", cover=True).kept == kept == swept.at(eps).kept_with_cover
    said = f"With cover, {swept.at(swept.eps).kept_with_cover} samples are kept."
    assert said in tab.text
    assert "With cover, " not in tab.send("on_point", x=0.0501).text


def find_traces(shown) -> list[dict]:
    """The traces of the chart in what the panel shows, wherever it stands."""
    if isinstance(shown, dict):
        if shown.get("type") == "scatter":
            return [shown]
        shown = list(shown.values())
    return [trace for part in shown for trace in find_traces(part)] if isinstance(shown, list) else []


def test_the_place_a_slider_is_drawn_at_is_no_choice(tab):
    scale = support.plugin("operators.panel.state").Scale
    swept = foo.get_operator(support.uri("sweep_thresholds"))(tab.dataset)
    tab.send("on_slider", value=scale(swept).place(swept.eps))
    assert tab.state["eps"] is None


def test_a_click_on_the_curve_and_a_target_move_the_slider_too(tab):
    before = tab.state["moves"]
    assert tab.send("on_point", x=0.05).state["eps"] == 0.05
    tab.send("on_target", value="3")
    assert tab.state["moves"] == before + 2
    assert "keeps 3 of 11" in tab.text


def test_a_target_that_cannot_be_is_said_so(tab):
    tab.send("on_target", value="many")
    assert "target must be" in tab.asked("notify")["message"]


def test_nothing_is_lost_when_the_server_starts_again(tab):
    tab.send("on_point", x=0.05)
    words = tab.text
    tab.forget_server()
    assert tab.send("on_price", value=0).text == words


def test_two_tabs_do_not_move_each_other(tab):
    other = Tab(tab.dataset).send("on_load")
    tab.send("on_point", x=0.05)
    other.send("on_price", value=2)
    assert other.state["eps"] is None
    assert "Chosen: eps 0.05" in tab.send("on_price", value=1).text


def test_another_dataset_starts_anew(tab, vector_dataset):
    tab.send("on_point", x=0.05)
    tab.dataset = vector_dataset(np.eye(3))
    tab.send("on_change_dataset")
    assert tab.state["eps"] is None
    assert "Result of" not in tab.text


def test_a_changed_dataset_is_swept_again(tab):
    key = tab.state["swept"]
    tab.dataset.add_sample(fo.Sample(filepath="/nowhere/new.png", vgg16=np.eye(8, dtype=np.float32)[7]))
    tab.send("refresh")
    assert tab.state["swept"] != key
    assert "1 sample added since" in tab.text


def test_runs_have_their_own_numbers(tab):
    foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=0.9, run_key="night")
    tab.send("refresh").send("on_run", value="night")
    assert "Result of 'night'" in tab.text
    assert '"Would keep"' in tab.text
    assert "Result of 'dedup'" in tab.send("on_run", value="dedup").text


def test_money_saved_is_price_times_what_is_not_annotated(tab):
    tab.send("on_price", value=0.25)
    assert f'"title": "{0.25 * (DROPPED + SKIPPED):,.2f}"' in tab.text


def test_it_clusters_with_the_chosen_threshold_on_the_whole_dataset(tab):
    tab.send("on_point", x=0.05).send("cluster")
    asked = tab.asked("prompt_user_for_operation")
    assert asked["operator_uri"] == support.uri("cluster_duplicates")
    assert asked["params"]["eps"] == "0.05"
    assert asked["params"]["view_target"] == "DATASET"
    assert asked["on_success"].endswith("#refresh")


def test_it_opens_the_form_that_deletes_the_run_that_is_shown(tab):
    assert '"Delete run"' in tab.text
    asked = tab.send("open_operator", operator="delete_run").asked("prompt_user_for_operation")
    assert asked["operator_uri"] == support.uri("delete_run")
    assert asked["params"] == {"run_key": "dedup", "view_target": "DATASET"}


def test_a_row_and_a_bar_show_their_cluster_in_the_grid(tab):
    number = tab.state["found"]["largest"][0]["number"]
    for event in ({"event": "show_row", "row": 0}, {"event": "on_bar", "x": str(number)}):
        tab.send(**event)
        view = fo.DatasetView._build(tab.dataset, tab.asked("set_view")["view"])
        assert set(view.values("dedup_cluster")) == {number}
        assert view.first()["dedup_kept"]


def test_without_vectors_it_says_what_to_do_first(dataset, pictures):
    words = Tab(dataset(pictures())).send("on_load").text
    assert "Compute embeddings first" in words
    assert "0 of 6 samples" in words


def test_an_empty_dataset_and_one_of_videos_say_what_to_do(dataset, tmp_path):
    assert "add samples to the dataset" in Tab(dataset()).send("on_load").text
    assert "frames_from_videos" in Tab(dataset([tmp_path / "clip.mp4"])).send("on_load").text


def test_many_samples_are_left_to_the_operator(tab, monkeypatch):
    monkeypatch.setattr(support.plugin("operators.panel.panel"), "_AT_ONCE", 5)
    other = Tab(tab.dataset)
    tab.dataset.delete_samples(tab.dataset.exists("vgg16").limit(1).values("id"))
    assert "Look at every threshold" in other.send("on_load").text
    asked = other.send("sweep").asked("prompt_user_for_operation")
    foo.get_operator(support.uri("cluster_duplicates"))(other.dataset, target="5", run_key="trial")
    assert "Count with cover" in other.send("refresh").text
    assert "kept with cover" not in other.text
    foo.get_operator(asked["operator_uri"])(other.dataset)
    assert "Measured: eps" in other.send("refresh").text
    assert "kept with cover" in other.text
    assert "Count with cover" not in other.text


def test_a_run_of_copies_is_shown_beside_the_vectors(tab):
    made = tab.dataset
    made.set_values("filepath", [made.first().filepath] * 3 + made.values("filepath")[3:])
    foo.get_operator(support.uri("find_copies"))(made)
    tab.send("on_run", value="copies")
    assert "1 cluster of files of the same bytes" in tab.text
    assert '"title": "2"' in tab.text  # dropped
    assert "Measured: eps" in tab.text
    asked = tab.send("open_operator", operator="find_copies").asked("prompt_user_for_operation")
    assert asked["params"]["run_key"] == "copies"
