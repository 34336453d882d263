"""The panel's events, as the App sends them: what a person sees is the steps' own result, whatever happened meanwhile."""

import contextlib
import functools
import json
import queue
import re
import threading
import time

import numpy as np
import pydash
import pytest
from fiftyone.operators.executor import ExecutionContext, Executor

from tests import support
from tests.deduplicated import DROPPED, KEPT, SKIPPED, keep_first, snapshot, vectors
from tests.vectors import column, declare_as_ours

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip

PANEL = support.uri("deduplication")


class Tab:
    """A browser tab with the panel open: it keeps the panel's state, and forgets nothing but what it is told to."""

    def __init__(self, dataset):
        self.dataset, self.state, self.requests = dataset, {}, []
        self.view: fo.DatasetView = dataset.view()
        self.spaces = fo.Space(children=[fo.Panel(type="Samples", pinned=True)])

    def send(self, event: str, **params) -> "Tab":
        """Send an event, and take over the state that comes back."""
        params |= {"__method__": event, "panel_id": "panel", "panel_state": self.state}
        request = {
            "dataset_name": self.dataset.name,
            "params": json.loads(json.dumps(params)),
            "view": self.view._serialize(),
            "spaces": self.spaces.to_dict(),
        }
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

    def wait(self) -> "Tab":
        """Follow the step at work until it has ended, as the panel's timer does."""
        wait_until(lambda: self.running.ended)
        return self.send("follow")

    @property
    def running(self):
        """The step that was started last on the run that is shown."""
        return support.plugin("operators.panel.running").find(self.dataset, self.state["choices"]["run"])

    @property
    def text(self) -> str:
        """All words that the panel shows."""
        return json.dumps(self.asked("show_panel_output"), ensure_ascii=False)

    def number(self, label: str) -> str:
        """The number that the panel shows below a label."""
        (found,) = tiles(self.asked("show_panel_output"), label)
        return found

    def open(self, tab: str) -> "Tab":
        """Click on one of the tabs."""
        return self.send("on_tab", tab=tab)

    def asked(self, operator: str) -> dict:
        """What the App was last asked to do by an operator."""
        return [sent["params"] for sent in self.requests if sent["operator_uri"] == operator][-1]

    def forget_server(self) -> None:
        """The App's server starts again."""
        support.plugin("similarity.data.sweeps")._read.cache_clear()
        support.plugin("similarity.steps.sweep").result_of.cache_clear()
        support.plugin("operators.panel.parts")._thumbnails.clear()


def call(name, made, **options):
    return foo.get_operator(support.uri(name))(made, **options)


def wait_until(holds) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def tab(deduplicated):
    """A tab with the panel open on a finished run."""
    made = deduplicated()
    declare_as_ours(made, dimension=8)
    return Tab(made).send("on_load")


def test_it_shows_the_run_and_the_measured_threshold(tab):
    swept = foo.get_operator(support.uri("sweep_thresholds"))(tab.dataset)
    for label, value in (("Kept", KEPT), ("Dropped", DROPPED), ("Skipped", SKIPPED)):
        assert tab.number(label) == str(value)
    said = rf"At 99\.2 % similar, as measured .* {swept.kept} of {swept.samples} samples are kept"
    assert re.search(said, tab.open("Threshold").text)


def test_where_no_threshold_was_measured_the_pairs_are_shown_and_no_mark_is_drawn(tab, vector_dataset):
    other = Tab(vector_dataset(vectors())).send("on_load").open("Threshold")
    assert "No threshold was measured" in other.text
    names = [trace["name"] for trace in find_traces(other.asked("show_panel_output"))]
    assert "chosen" in names
    assert "measured" not in names


def test_moving_the_threshold_tells_what_clustering_would_give(tab):
    tab.open("Threshold")
    swept = foo.get_operator(support.uri("sweep_thresholds"))(tab.dataset)
    for place in (5, 40, 95):
        eps = tab.send("on_slider", value=place).state["eps"]
        found = foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=eps, run_key="trial")
        assert f"{found.unique} of {swept.samples} samples are kept" in tab.text


def test_what_cover_keeps_is_drawn_where_it_was_counted_and_said_for_the_measured_threshold(tab):
    swept = foo.get_operator(support.uri("sweep_thresholds"))(tab.dataset)
    shown = tab.open("Threshold").asked("show_panel_output")
    traces = {trace["name"]: trace for trace in find_traces(shown)}
    drawn = dict(zip(traces["with cover"]["x"], traces["with cover"]["y"], strict=True))
    assert drawn == {row.eps: row.kept_with_cover for row in swept.covered() if row.eps > 1e-6} != {}
    assert f", or {swept.at(swept.eps).kept_with_cover} with cover" in tab.text
    assert ", or a few more with cover" in tab.send("on_point", x=0.0501).text  # where it was not counted


def tiles(shown, label: str) -> list[str]:
    """The values in what the panel shows that stand below a label, wherever they stand."""
    if isinstance(shown, dict):
        if shown.get("properties", {}).keys() >= {"label", "value"}:
            said = {name: shown["properties"][name]["view"]["title"] for name in ("label", "value")}
            return [said["value"]] if said["label"] == label else []
        shown = list(shown.values())
    return [value for part in shown for value in tiles(part, label)] if isinstance(shown, list) else []


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
    assert not tab.requests


def test_the_price_that_the_app_has_drawn_itself_is_not_answered(tab):
    assert not tab.send("on_price", value=0).requests
    assert tab.send("on_price", value=0.5).requests
    assert not tab.send("on_price", value=0.5).requests


def test_an_event_without_the_panels_state_looks_again_first(tab):
    tab.state = {}
    assert "0 of" in tab.send("review").text


def test_a_click_on_the_curve_and_a_target_move_the_slider_too(tab):
    before = tab.open("Threshold").state["moves"]
    assert tab.send("on_point", x=0.05).state["eps"] == 0.05
    tab.send("on_target", value="3")
    assert tab.state["moves"] == before + 2
    assert "3 of 11 samples are kept" in tab.text


def test_a_target_that_cannot_be_is_said_so(tab):
    assert "target must be" in tab.open("Threshold").send("on_target", value="many").text
    assert "target must be" not in tab.send("on_target", value="3").text


def test_nothing_is_lost_when_the_server_starts_again(tab):
    words = tab.open("Threshold").send("on_point", x=0.05).text
    tab.forget_server()
    assert tab.send("on_price", value=1).text == words


def test_two_tabs_do_not_move_each_other(tab):
    other = Tab(tab.dataset).send("on_load")
    tab.send("on_point", x=0.05)
    other.send("on_price", value=2)
    assert other.state["eps"] is None
    assert "At 95 % similar" in tab.open("Threshold").text


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
    assert "1 sample added since" in tab.open("Steps").text


def test_runs_have_their_own_numbers(tab):
    foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=1e-6, run_key="night")
    tab.send("refresh").send("on_run", value="night")
    assert "Result of 'night'" in tab.text
    assert tab.number("Would keep") == str(KEPT + DROPPED)
    assert "Result of 'dedup'" in tab.send("on_run", value="dedup").text
    assert tab.number("Kept") == str(KEPT)


def test_money_saved_is_price_times_what_is_not_annotated(tab):
    tab.send("on_price", value=0.25)
    assert tab.number("Saved") == f"{0.25 * (DROPPED + SKIPPED):.2f}"


def test_it_opens_the_form_that_deletes_the_run_that_is_shown(tab):
    assert '"Delete run"' in tab.open("Steps").text
    asked = tab.send("open_operator", operator="delete_run").asked("prompt_user_for_operation")
    assert asked["operator_uri"] == support.uri("delete_run")
    assert asked["params"] == {"run_key": "dedup", "view_target": "DATASET"}


def test_more_options_are_of_the_vectors_that_are_shown(vector_dataset):
    other = Tab(vector_dataset(vectors(), field="clip")).send("on_load")
    asked = other.send("open_operator", operator="find_unique_samples").asked("prompt_user_for_operation")
    assert asked["params"]["embeddings_field"] == "clip"


def test_a_run_that_is_deleted_elsewhere_is_noticed_at_the_next_click(tab, monkeypatch):
    monkeypatch.setattr(support.plugin("operators.panel.panel"), "_PATIENCE", 2)
    call("delete_run", tab.dataset, confirm=True)
    assert "nothing was clustered yet" in tab.open("Clusters").text


def test_a_bar_selects_its_cluster_in_the_grid_and_keeps_the_view(tab):
    number = tab.state["order"][1]
    tab.open("Clusters").send("on_bar", x=str(number))
    shown = tab.asked("set_extended_selection")
    assert set(tab.dataset.select(shown["selection"]).values("dedup_cluster")) == {number}
    assert "set_view" not in [sent["operator_uri"] for sent in tab.requests]


def test_a_picture_has_the_name_that_is_unique_in_the_dataset(tab):
    made = tab.dataset
    one, other = (
        tab.state["found"]["worst"][0]["id"],
        made.match(fo.ViewField("dedup_cluster") == -1).first().id,
    )
    made.set_values("filepath", {one: "/day/cam1/36.jpg", other: "/day/cam2/36.jpg"}, key_field="id")
    assert '"cam1/36.jpg"' in tab.send("refresh").open("Pairs").text


def test_a_pair_that_the_view_lacks_is_shown_in_a_view_of_its_own(tab):
    pair = tab.state["found"]["worst"][0]
    tab.view = tab.dataset.load_saved_view("dedup-kept")
    shown = tab.send("show_in_grid", ids=[pair["id"], pair["kept_id"]]).asked("set_view")["view"]
    assert fo.DatasetView._build(tab.dataset, shown).values("id") == [pair["id"], pair["kept_id"]]


def test_without_vectors_it_says_what_to_do_first(dataset, pictures):
    empty = Tab(dataset(pictures())).send("on_load")
    assert '"Find unique samples"' in empty.text
    assert "6 pictures to look at" in empty.text
    assert "Compute embeddings first" in empty.open("Threshold").text
    assert "0 of 6 samples" in empty.open("Steps").text


def test_an_empty_dataset_and_one_of_videos_say_what_to_do(dataset, tmp_path):
    assert "add samples" in Tab(dataset()).send("on_load").text
    assert "frames_from_videos" in Tab(dataset([tmp_path / "clip.mp4"])).send("on_load").text


def test_many_samples_are_compared_on_demand(tab, monkeypatch):
    monkeypatch.setattr(support.plugin("operators.panel.panel"), "_AT_ONCE", 5)
    other = Tab(tab.dataset)
    tab.dataset.delete_samples(tab.dataset.exists("vgg16").limit(1).values("id"))
    assert "Look at every threshold" in other.send("on_load").open("Threshold").text
    foo.get_operator(support.uri("cluster_duplicates"))(other.dataset, target="5", run_key="trial")
    assert "Count with cover" in other.send("refresh").text
    assert '"with cover"' not in other.text
    other.send("sweep").wait()
    assert "as measured" in other.text
    assert '"with cover"' in other.text
    assert "Count with cover" not in other.text


def test_thresholds_are_not_offered_where_they_cannot_be_compared(tab, monkeypatch):
    monkeypatch.setattr(support.plugin("operators.panel.panel"), "_AT_ONCE", 5)
    foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=0.05, min_samples=3)
    words = tab.send("refresh").open("Threshold").text
    assert re.search("min_samples .* clustered with 3", words)
    assert "Look at every threshold" not in words


def test_a_threshold_that_joins_nearly_everything_warns(tab):
    assert "One cluster would hold" not in tab.open("Threshold").text
    assert "One cluster would hold" in tab.send("on_point", x=2).text


def test_vectors_that_point_away_from_each_other_are_not_similar_at_all(vector_dataset):
    other = Tab(vector_dataset(np.array([[1, 0], [-1, 0], [1, 0.01]]))).send("on_load").open("Threshold")
    assert "At 0 % similar" in other.send("on_point", x=1.9).text


def test_saved_views_are_opened_by_their_names(tab):
    assert tab.send("show_saved_view", word="kept").asked("set_view") == {"name": "dedup-kept"}


# --- steps that it runs


def test_it_clusters_and_keeps_at_the_chosen_threshold_with_the_options_of_the_run(tab):
    tab.open("Threshold").send("on_point", x=0.04)
    assert "Cluster and keep at 96 %" in tab.text
    tab.send("cluster_and_keep").wait()
    record = support.plugin("similarity.data.runs").load(tab.dataset, "dedup")["steps"]
    assert (record["cluster"]["eps"], record["keep"]["options"]["cover"]) == (0.04, False)
    assert tab.asked("notify")["variant"] == "success"


def recorded(made, run_key="dedup"):
    """The options of a run's clustering, and of its keeping."""
    steps = support.plugin("similarity.data.runs").load(made, run_key)["steps"]
    return steps["cluster"]["options"], steps["keep"]["options"]


@pytest.fixture
def chosen(vector_dataset):
    """A run with options of a person's own: the second sample is kept by its tag alone, and no cluster has a tag."""
    made = vector_dataset(vectors())
    made.set_values("scene", ["a", "b"] * 6)
    made.limit(2).skip(1).tag_samples("gold")
    clustering = {"eps": 0.05, "min_samples": 1, "tag_clusters": 0, "splits": "scene"}
    call("cluster_duplicates", made, **clustering)
    call("keep_first_per_cluster", made, cover=False, protect_tags=["gold"])
    return made


@pytest.mark.parametrize("clustered_again", [False, True])
@pytest.mark.parametrize(("button", "eps"), [("find_unique", 0.05), ("cluster_and_keep", 0.04)])
def test_its_buttons_go_on_with_the_options_that_a_person_gave_the_run(chosen, button, eps, clustered_again):
    before = recorded(chosen)
    if clustered_again:  # which deletes the decision, not the options that it was made with
        call("cluster_duplicates", chosen, **before[0] | {"confirm": False, "plan": None})
    chosen.add_sample(fo.Sample(filepath="/nowhere/new.png", vgg16=np.eye(8, dtype=np.float32)[7]))
    other = Tab(chosen).send("on_load").send("on_point", x=0.04).send(button).wait()
    assert other.running.problem is None
    assert recorded(chosen) == (before[0] | {"eps": eps}, before[1])
    chosen.reload()
    assert chosen.match_tags("gold").values("dedup_kept") == [True]
    assert not [tag for tag in chosen.distinct("tags") if "cluster" in tag]


def test_a_threshold_is_not_taken_over_to_other_vectors(chosen):
    chosen.add_sample_field("clip", fo.VectorField)
    chosen.set_values("clip", vectors())
    other = Tab(chosen).send("on_load").send("on_field", value="clip").send("find_unique").wait()
    assert "eps='auto' has no measured threshold for the vectors in 'clip'" in other.running.problem


def test_a_run_of_copies_is_clustered_by_vectors_with_its_own_order_alone(chosen):
    chosen.set_values("filepath", [support.__file__] * 12)
    call("find_copies", chosen, protect_tags=["gold"], tag_clusters=0)
    other = Tab(chosen).send("on_load").send("on_run", value="copies").send("on_field", value="vgg16")
    other.send("find_unique").wait()
    assert "eps='auto' has no measured threshold for the vectors in 'vgg16'" in other.running.problem
    other.send("on_point", x=0.04).send("cluster_and_keep").wait()
    clustering, keeping = recorded(chosen, "copies")
    assert (clustering["metric"], clustering["eps"], clustering["tag_clusters"]) == ("cosine", 0.04, 0)
    assert (keeping["run_key"], keeping["protect_tags"]) == ("copies", ["gold"])


@pytest.mark.parametrize("button", ["find_unique", "cluster_and_keep"])
def test_a_run_that_fiftyone_renamed_is_left_as_it_is(chosen, button):
    chosen.rename_run("dedup", "night")
    before = snapshot(chosen)
    other = Tab(chosen).send("on_load").send("on_point", x=0.04).send(button)
    assert "rename it back" in other.asked("notify")["message"]
    assert other.running is None
    assert snapshot(chosen) == before


def test_find_unique_goes_on_with_the_vectors_that_the_field_has(dataset, pictures):
    made = dataset(pictures())
    foo.get_operator(support.uri("compute_embeddings"))(made[:2], weights="untrained", layer="block4")
    other = Tab(made).send("on_load")
    assert "4 pictures to look at" in other.text
    other.send("find_unique").wait()
    made.reload()
    assert made.exists("vgg16").count() == 6
    assert made.get_field("vgg16").info["onlyone"]["layer"] == "block4"
    assert made.count_values("dedup_kept")[True] + made.count_values("dedup_kept").get(False, 0) == 6


@pytest.fixture
def step(tab):
    """A step at work on the run: it says how far it is when the test has it, and waits."""
    running, said = support.plugin("operators.panel.running"), queue.Queue()

    def work(progress):
        while (told := said.get(timeout=30)) is not None:
            progress(*told)
        raise ValueError("eps must be greater than 0")

    running.start(tab.dataset, "dedup", "A step", work)
    found = running.find(tab.dataset, "dedup")

    def say(*told):
        said.put(told or None)
        wait_until(lambda: found.ended or (found.meter.activity, found.meter.done) == told[:2])
        return found

    yield say
    say()


def test_a_step_at_work_is_followed_in_every_tab_with_its_rate(tab, step, monkeypatch):
    step("1/3 Embedding", 0, 1_000)
    monkeypatch.setattr(step("1/3 Embedding", 0, 1_000).meter, "_since", time.monotonic() - 12)
    step("1/3 Embedding", 240, 1_000)
    for each in (tab, Tab(tab.dataset).send("on_load")):
        words = each.send("follow").text
        assert re.search(
            "1/3 Embedding: 240 of 1,000 pictures, (1[5-9]|20) a second, (3[89]|[45]\\d) s left", words
        )
        assert '"on_interval"' in words
    assert re.match(r"about [56]\d s at the rate", support.plugin("operators.rates").estimate(1_000))


def test_a_step_stops_at_its_next_progress_when_it_is_cancelled(tab, step):
    step("Comparing", 1, 10)
    tab.send("cancel")
    assert "Stopping" in tab.text
    step("Comparing", 2, 10)
    tab.wait()
    assert tab.asked("notify")["variant"] == "info"  # no success
    assert "A step" not in tab.text


def test_a_second_step_on_a_run_at_work_is_not_begun(tab, step):
    found = step("Comparing", 1, 10)
    tab.send("cluster_and_keep")
    assert support.plugin("operators.panel.running").find(tab.dataset, "dedup") is found
    assert "A step" in tab.text


def test_of_two_requests_at_once_one_step_is_begun(tab, monkeypatch):
    running = support.plugin("operators.panel.running")
    begun, meet, go, find = [], threading.Barrier(2), threading.Event(), running.find

    def meeting(*its):
        found = find(*its)
        with contextlib.suppress(threading.BrokenBarrierError):
            meet.wait(timeout=0.5)  # both requests have looked before either begins, where that can be
        return found

    monkeypatch.setattr(running, "find", meeting)

    def step(progress):
        begun.append("one")
        go.wait(timeout=30)

    start = functools.partial(running.start, tab.dataset, "dedup", "A step", step)
    requests = [threading.Thread(target=start) for _ in range(2)]
    for request in requests:
        request.start()
    for request in requests:
        request.join()
    go.set()
    wait_until(lambda: find(tab.dataset, "dedup").ended)
    assert begun == ["one"]


def test_why_a_step_stopped_stays_until_it_is_closed(tab, step):
    step()
    tab.wait()
    assert "eps must be greater than 0" in tab.text
    assert "eps must be greater than 0" in Tab(tab.dataset).send("on_load").text
    assert "eps must be greater than 0" not in tab.send("close_problem").text


def test_the_map_is_made_once_and_opened_with_what_is_kept_for_its_colours(tab):
    tab.send("open_map").wait()
    assert tab.send("show_map").asked("open_panel")["name"] == "Embeddings"
    tab.spaces = fo.Space(children=[*tab.spaces.children, fo.Panel(type="Embeddings", component_id="map")])
    for _ in range(3):
        assert "show_map" in tab.text
        told = tab.send("show_map").asked("patch_panel_data")
        assert told["panel_id"] == "map"
        assert told["data"] == {"openKey": "dedup_map", "colorField": "dedup_kept"}
    assert "show_map" not in tab.text
    tab.dataset.reload()
    found = tab.dataset.load_brain_results("dedup_map")
    assert (found.points.shape, found.config.method) == ((11, 2), "pca")
    made = tab.dataset.get_brain_info("dedup_map").timestamp
    tab.send("open_map").send("show_map")
    assert tab.dataset.get_brain_info("dedup_map").timestamp == made
    tab.dataset.add_sample(fo.Sample(filepath="/nowhere/new.png", vgg16=np.eye(8, dtype=np.float32)[7]))
    tab.send("open_map").wait()
    tab.dataset.reload()
    assert len(tab.dataset.load_brain_results("dedup_map").points) == 12


# --- the review


def test_a_person_overrules_a_cluster_and_takes_it_back(tab):
    tab.send("review")
    number = tab.state["order"][0]
    members = support.plugin("similarity.steps.review").members(tab.dataset, "dedup", number)
    dropped = [member.id for member in members if not member.kept]
    assert [member.kept for member in members] == [True, False, False]

    def now():
        tab.dataset.reload()
        return {i for i, kept in zip(*tab.dataset.values(["id", "dedup_kept"]), strict=True) if kept}

    before = now()
    tab.send("decide", id=dropped[0], word="distinct")
    assert "dedup:distinct" in tab.dataset[dropped[0]].tags
    assert now() == before | {dropped[0]}
    assert tab.open("Result").number("Kept") == str(len(now()))
    assert set(tab.dataset.load_saved_view("dedup-kept").values("id")) == now()
    tab.send("decide", id=dropped[0], word="keep")
    assert tab.dataset[dropped[0]].tags.count("dedup:keep") == 1
    assert "dedup:distinct" not in tab.dataset[dropped[0]].tags
    assert now() == before - {members[0].id} | {dropped[0]}
    tab.send("decide", id=dropped[0], word=None)
    assert now() == before
    tab.send("all_different")
    assert {member.id for member in members} <= now()


def test_a_decision_about_one_cluster_leaves_the_order_and_the_others_as_they_were(deduplicated):
    made = deduplicated()
    made.set_values("score", list(range(12)))
    keep_first(made.sort_by("score", reverse=True))
    ids, before = made.values("id"), column(made, "dedup_kept")
    assert [row for row, kept in enumerate(before) if kept] == [2, 5, 8, 9, 10]
    review = support.plugin("similarity.steps.review")
    for word, also in (("distinct", True), (None, False)):
        review.decide(made, "dedup", {ids[0]: word})
        assert column(made, "dedup_kept") == [also, *before[1:]]


def test_what_was_reviewed_is_remembered_until_it_is_clustered_again(tab):
    assert "0 of 3 reviewed" in tab.send("review").text
    assert "1 of 3 reviewed" in tab.send("next").text
    other = Tab(tab.dataset).send("on_load").send("review")
    assert other.state["at"] == 1
    assert other.send("next").send("next").state["tab"] == "Result"
    foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=0.04)
    foo.get_operator(support.uri("keep_first_per_cluster"))(tab.dataset)
    assert "0 of 3 reviewed" in tab.send("refresh").send("review").text


def test_the_review_begins_anew_after_clustering_again(tab):
    assert tab.send("review").send("next").state["at"] == 1
    foo.get_operator(support.uri("cluster_duplicates"))(tab.dataset, eps=0.05)
    foo.get_operator(support.uri("keep_first_per_cluster"))(tab.dataset)
    assert tab.send("refresh").state["at"] == 0


def test_a_panel_whose_dataset_another_tab_has_changed_looks_at_the_new_one(tab, dataset):
    tab.dataset = dataset(["/nowhere/0.png"])
    assert tab.send("on_run", value=tab.state["choices"]["run"]).requests == []  # a report of what was drawn
    assert "1 picture to look at" in tab.send("on_run", value="other").text


def test_a_look_that_ends_late_does_not_take_a_person_back_to_the_first_cluster(tab):
    late = {key: value for key, value in tab.state.items() if key not in ("order", "at")}
    now = tab.send("review").send("next").state
    tab.state = late
    tab.send("refresh")
    patched = [
        sent["params"]["state"] for sent in tab.requests if sent["operator_uri"] == "patch_panel_state"
    ]
    assert {**now, **{key: value for patch in patched for key, value in patch.items()}}["at"] == 1


def test_the_least_similar_clusters_are_reviewed_first(tab):
    similarities = tab.dataset.values("dedup_similarity")
    worst: dict[int, float] = {}
    for number, similarity in zip(tab.dataset.values("dedup_cluster"), similarities, strict=True):
        if number is not None and number >= 0:
            worst[number] = min(similarity, worst.get(number, 100))
    assert tab.state["order"] == sorted(worst, key=worst.get)


def test_a_run_of_copies_is_shown_beside_the_vectors(tab):
    made = tab.dataset
    made.set_values("filepath", [made.first().filepath] * 3 + made.values("filepath")[3:])
    foo.get_operator(support.uri("find_copies"))(made)
    tab.send("on_run", value="copies")
    assert tab.number("Dropped") == "2"
    assert "1 cluster of files" in tab.open("Steps").text
    assert "as measured" in tab.open("Threshold").text
    asked = tab.send("open_operator", operator="find_copies").asked("prompt_user_for_operation")
    assert asked["params"]["run_key"] == "copies"
