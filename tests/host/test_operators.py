import contextlib
import json
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import bson
import numpy as np
import pytest
from PIL import Image

from tests import support
from tests.vectors import declare_as_ours, directions, documents

import fiftyone as fo  # isort: skip
import fiftyone.brain as fob  # isort: skip
import fiftyone.operators as foo  # isort: skip

options = support.plugin("similarity.options")
runs = support.plugin("similarity.data.runs")
output = support.plugin("operators.output")

DIFFERING = ("created_at", "last_modified_at", "_dataset_id", "filepath", "vgg16_file")
"""What two copies of a dataset do not share: time stamps, and where their pictures are."""


def call(name, target, **given):
    return foo.get_operator(support.uri(name))(target, **given)


# Each operator: its parameters, and the operators to call before it. "(folder)" stands for a new folder, "(selected)"
# for the ids of selected samples.
EMBED = ("compute_embeddings", {"weights": "untrained"})
INDEX = ("build_similarity_index", {})
CLUSTER = ("cluster_duplicates", {"eps": "0.01"})
KEEP = ("keep_first_per_cluster", {})
REMOVE = ("remove_duplicates", {"confirm": True})
OPERATORS = {
    "compute_embeddings": ({"weights": "untrained", "recompute": True}, []),
    "build_similarity_index": ({"n_trees": 10}, []),
    "sort_by_similarity": ({"k": 4, "selected": "(selected)"}, [INDEX]),
    "compare_samples": ({"selected": "(selected)"}, []),
    "sweep_thresholds": ({}, []),
    "find_copies": ({}, []),
    "cluster_duplicates": ({"eps": "0.01"}, []),
    "keep_first_per_cluster": ({"cover": True, "order_by": "medoid"}, [CLUSTER]),
    "split_by_cluster": ({"train": 0.5, "val": 0.5, "test": 0}, [CLUSTER]),
    "find_unique_samples": ({"weights": "untrained", "run_key": "night"}, []),
    "export_deduplicated": ({"export_dir": "(folder)"}, [CLUSTER, KEEP]),
    "load_annotations": (
        {"export_dir": "(folder)", "label_field": "truth", "confirm": True},
        [CLUSTER, KEEP, ("export_deduplicated", {"export_dir": "(folder)", "dataset_type": "YOLOv5Dataset"})],
    ),
    "group_into_folders": ({"export_dir": "(folder)"}, [CLUSTER, KEEP]),
    "write_report": ({"export_dir": "(folder)"}, [CLUSTER, KEEP]),
    "remove_duplicates": ({"confirm": True}, [CLUSTER, KEEP]),
    "delete_run": ({"confirm": True}, [CLUSTER, KEEP]),
    "restore_removed": ({}, [CLUSTER, KEEP, REMOVE]),
}
OURS = sorted(
    one.name
    for one in foo.list_operators(type="operator")
    if one.uri == support.uri(one.name) and not one.config.unlisted  # cancel_step, which test_stream.py tests
)
ON_PICTURES = [name for name in OURS if name != "frames_from_videos"]  # which test_frames.py tests
BOTH = ("cluster_duplicates", "sort_by_similarity")  # one that is the base alone, and the one that is more


@pytest.fixture(scope="module")
def embedded_once(tmp_path_factory):
    """Three scenes three times, one picture alone, and a file that cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    made = fo.Dataset(f"operators-{uuid.uuid4().hex[:10]}")
    made.add_samples(fo.Sample(filepath=path, scene=Path(path).name[0]) for path in scenes(folder))
    call(EMBED[0], made, **EMBED[1])
    yield made
    made.delete()


def scenes(folder):
    rng = np.random.default_rng(51)
    for scene, copies in enumerate((3, 3, 3, 1)):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        for copy in range(copies):
            path = folder / f"{scene}-{copy}.png"
            coarse.resize((48, 48), Image.Resampling.BICUBIC).point(lambda v, c=copy: v + c).save(path)
            yield str(path)
    (folder / "broken.png").write_bytes(b"broken")
    yield str(folder / "broken.png")


@pytest.fixture
def copy(embedded_once, tmp_path):
    """``copy("a")``: a copy of the dataset, with its own copies of the pictures."""
    every = []

    def make(name):
        made = embedded_once.clone(f"{embedded_once.name}-{name}-{uuid.uuid4().hex[:6]}")
        every.append(made.name)
        (tmp_path / name).mkdir()
        paths = [shutil.copy2(path, tmp_path / name) for path in made.values("filepath")]
        made.set_values("filepath", [str(path) for path in paths])
        return made

    yield make
    for name in every:
        for found in fo.list_datasets(f"{name}*"):
            fo.delete_dataset(found)


def prepared(name, dataset, folder):
    """The dataset after what comes before an operator; its parameters, its selected samples."""
    given, before = OPERATORS[name]

    def placed(options):
        return {key: str(folder) if value == "(folder)" else value for key, value in options.items()}

    for operator, its in before:
        call(operator, dataset, **placed(its))
    given = placed(given)
    selected = dataset.values("id")[:2] if given.pop("selected", None) else ()
    return given, list(selected)


@pytest.fixture
def in_app(monkeypatch):
    """This process is the App's server, as far as operators can tell."""
    monkeypatch.setenv("FIFTYONE_SERVER", "1")


@pytest.fixture
def clustered(vector_dataset):
    """Three samples with files, of which the first two are equal, after clustering and keeping."""
    made = vector_dataset(directions(0, 0, 40))
    for number, path in enumerate(made.values("filepath")):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    call("cluster_duplicates", made, eps=0.01)
    call("keep_first_per_cluster", made)
    return made


def form_of(name, samples, **params):
    """The properties of an operator's form, on a dataset or a view."""
    request = {"dataset_name": samples._dataset.name, "view": samples.view()._serialize(), "params": params}
    context = foo.executor.ExecutionContext(request)
    return foo.get_operator(support.uri(name)).resolve_input(context).type.properties


def problem(name, samples, **params):
    """The words that block an operator's form; "" where nothing does."""
    told = form_of(name, samples, **params).get("problem")
    return told.error_message if told is not None else ""


def shown(values, dataset, folder):
    """What an operator shows, without what two runs do not share: times, and names of dataset and folder."""
    if isinstance(values, dict):
        return {
            key: shown(value, dataset, folder)
            for key, value in values.items()
            if key not in ("seconds", "plan")
        }
    if isinstance(values, list):
        return [shown(value, dataset, folder) for value in values]
    if isinstance(values, str):
        lines = values.replace(str(folder), "(folder)").replace(dataset.name, "(dataset)").splitlines()
        return "\n".join(line for line in lines if "embedded at" not in line and "built in" not in line)
    return values


def state(dataset):
    """What an operator leaves behind: samples, saved views, and what the runs found."""
    found = {"samples": documents(dataset, without=DIFFERING), "views": dataset.list_saved_views()}
    for key in runs.keys(dataset):
        steps = runs.load(dataset, key)["steps"]
        found[key] = {
            step: {name: value for name, value in facts.items() if name not in ("started", "finished")}
            for step, facts in steps.items()
        }
    return found


def test_every_operator_is_tested_here():
    assert set(ON_PICTURES) <= set(OPERATORS)


def test_every_operator_but_the_search_runs_by_the_lines_of_the_base():
    base = support.plugin("operators.base").StepOperator
    lines = ("__call__", "execute", "samples", "arguments")
    operators = {name: type(foo.get_operator(support.uri(name))) for name in OURS}
    own = {
        name
        for name, operator in operators.items()
        if [getattr(operator, line) for line in lines] != [getattr(base, line) for line in lines]
    }
    assert own == {"sort_by_similarity"}


@pytest.mark.parametrize(
    ("name", "on"), [*((name, "dataset") for name in ON_PICTURES), *((name, "view") for name in BOTH)]
)
def test_the_form_does_what_the_call_does(copy, tmp_path, name, on):
    results = {}
    for way in ("call", "form"):
        dataset, folder = copy(way), tmp_path / way / "out"
        given, selected = prepared(name, dataset, folder)
        target = dataset if on == "dataset" else dataset.limit(8)
        if way == "call":
            its = {"selected": selected} if selected else {}
            values = output.values(call(name, target, **its, **given))
            assert bson.decode(bson.encode(values)) == values  # a delegated run keeps them in its record
        else:
            requests = dict(support.requests(support.run(name, target, selected=selected, **given)))
            values = requests["show_output"]["results"] if "show_output" in requests else None
        results[way] = shown(values, dataset, tmp_path / way), state(dataset)
    assert results["form"][1] == results["call"][1]
    assert results["form"][0] == (results["call"][0] if name != "sort_by_similarity" else None)  # by the grid


@pytest.mark.parametrize("name", BOTH)
def test_a_delegated_run_does_the_same_and_its_record_keeps_what_is_shown(copy, tmp_path, name):
    results = {}
    for way in ("call", "queue"):
        dataset, folder = copy(way), tmp_path / way / "out"
        given, selected = prepared(name, dataset, folder)
        if way == "call":
            its = {"selected": selected} if selected else {}
            values = output.values(call(name, dataset, **its, **given))
        else:
            support.run(name, dataset, selected=selected, delegate=True, **given)
            record = support.run_queue(name, dataset)
            assert record.run_state == "completed", record.result and record.result.error
            values = record.result.result
            dataset.reload()
        results[way] = shown(values, dataset, tmp_path / way), state(dataset)
    assert results["queue"] == results["call"]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("cluster_duplicates", {"eps": "0"}, "0; .* 0"),
        ("cluster_duplicates", {"eps": "near"}, "auto.*'near'"),
        ("cluster_duplicates", {"run_key": "My run"}, "(?i)run.key.*'My run'"),
        ("cluster_duplicates", {"min_samples": 0}, "(?i)min.samples"),
        ("build_similarity_index", {"n_trees": 0}, "(?i)n.trees"),
        ("compute_embeddings", {"layer": "block6"}, "layer"),
    ],
)
def test_wrong_options_are_told_by_the_form_and_by_the_call_before_anything_runs(
    vector_dataset, name, given, message
):
    made = vector_dataset(directions(0, 1))
    before = documents(made)
    with pytest.raises(foo.executor.ExecutionError, match=message):
        support.run(name, made, **given)
    with pytest.raises(options.OptionError, match=message):
        call(name, made, **given)
    assert documents(made) == before


def test_a_step_that_cannot_run_fails_with_its_own_words(vector_dataset):
    made = vector_dataset(directions(0, 1))
    with pytest.raises(ValueError, match="cluster_duplicates"):
        call("keep_first_per_cluster", made)
    with pytest.raises(foo.executor.ExecutionError, match="Cluster duplicates"):
        support.run("keep_first_per_cluster", made)
    call("cluster_duplicates", made, eps=0.01)
    support.run("keep_first_per_cluster", made, delegate=True)
    made.set_values("vgg16", directions(0, 2))  # which the form does not read
    record = support.run_queue("keep_first_per_cluster", made)
    assert record.run_state == "failed"
    assert "have changed since" in record.result.error


def test_an_operator_called_in_another_process_finds_the_same(vector_dataset):
    made = vector_dataset([*directions(0, 1, 2, 40, 41, 90), None])
    code = f"""
import fiftyone as fo, fiftyone.operators as foo
dataset = fo.load_dataset("{made.name}")
foo.get_operator("@onlyone/dedup/cluster_duplicates")(dataset, eps=0.001)
print(*foo.get_operator("@onlyone/dedup/keep_first_per_cluster")(dataset).view.values("id"))
"""
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    call("cluster_duplicates", made, eps=0.001)
    assert other.stdout.splitlines()[-1].split() == call("keep_first_per_cluster", made).view.values("id")


def test_a_number_may_be_given_where_the_form_asks_for_a_text(vector_dataset):
    made = vector_dataset(directions(0, 1))
    support.run("cluster_duplicates", made, eps=0.05)
    assert made.has_sample_field("dedup_cluster")


def test_a_text_field_shows_what_the_form_is_opened_with(vector_dataset):
    params = {"eps": "0.02", "run_key": "night"}
    properties = form_of("cluster_duplicates", vector_dataset(directions(0, 1)), **params)
    found = {name: properties[name].default for name in ("eps", "run_key", "embeddings_field")}
    assert found == {**params, "embeddings_field": "vgg16"}


def test_the_form_of_keeping_says_which_labels_count(clustered):
    clustered.set_values("truth", [fo.Classification(label="a")] * 3)
    clustered.set_values("guessed", [fo.Classification(label="a", confidence=0.5)] * 3)
    told = form_of("keep_first_per_cluster", clustered)["prefer_labeled"].view.description
    assert told.endswith("by default: truth")


def test_executing_from_python_returns_what_the_call_returns_as_plain_values(vector_dataset):
    made = vector_dataset(directions(0, 1, 40))
    executed = support.run("cluster_duplicates", made, eps=0.01, run_key="night").result
    assert executed == call("cluster_duplicates", made, eps=0.01).to_dict() | {
        key: executed[key] for key in ("run_key", "seconds") if key in executed
    }
    assert json.loads(json.dumps(executed)) == executed


def test_in_the_app_the_output_comes_last_and_an_error_that_explains_itself_is_shown(vector_dataset, in_app):
    made = vector_dataset(directions(0, 1, 40))
    asked = [name for name, _ in support.requests(support.run("cluster_duplicates", made, eps=0.01))]
    assert asked[-2:] == ["reload_dataset", "show_output"]
    made.set_values("vgg16", directions(0, 2, 40))  # which the form does not read
    failed = support.requests(support.run("keep_first_per_cluster", made, order_by="medoid"))
    told = json.dumps(dict(failed)["show_output"])
    assert "have changed since" in told
    assert '"params": {"order_by": "medoid"' in told  # the way back to the form, as it was filled


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # for the server's log
def test_in_the_app_an_error_that_nobody_expected_is_shown_too(clustered, in_app, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(support.plugin("operators.catalog").FindCopies, "step", staticmethod(full))
    told = dict(support.requests(support.run("find_copies", clustered)))["show_output"]
    assert "OSError: [Errno 28] No space left on device" in json.dumps(told)


def test_paths_and_classes_of_fiftyone_are_taken_as_options(clustered, tmp_path):
    given = {
        "dataset_type": fo.types.COCODetectionDataset,
        "export_dir": tmp_path / "called",
        "media": "none",
    }
    called = call("export_deduplicated", clustered, **given)
    given["export_dir"] = tmp_path / "executed"
    executed = support.run("export_deduplicated", clustered, **given).result
    assert called.dataset_type == executed["dataset_type"] == "COCODetectionDataset"
    assert (called.export_dir, executed["export_dir"]) == (
        str(tmp_path / "called"),
        str(tmp_path / "executed"),
    )


def test_a_datasets_name_and_samples_as_the_selection_do_and_a_list_of_samples_is_refused(vector_dataset):
    made = vector_dataset(directions(0, 1))
    assert call("cluster_duplicates", made.name, eps=0.01).samples == 2
    compared = call("compare_samples", made, selected=list(made))
    assert compared.to_dict() == call("compare_samples", made, selected=made.values("id")).to_dict()
    assert call("compare_samples", made, selected=[made.view().first(), made.last()]).samples == 2
    with pytest.raises(ValueError, match="got 1"):
        call("compare_samples", made, selected=made.view().first())
    with pytest.raises(TypeError, match=r"list.*select"):
        call("cluster_duplicates", list(made))


def test_a_selection_is_refused_by_an_operator_that_takes_none(clustered):
    with pytest.raises(TypeError, match=r"remove_duplicates.*select\(ids\)"):
        call("remove_duplicates", clustered, selected=clustered.values("id")[:1], confirm=True)
    assert len(clustered) == 3


@pytest.mark.parametrize("name", ["remove_duplicates", "delete_run"])
def test_in_the_app_only_the_plan_that_the_form_shows_can_be_confirmed(clustered, in_app, name):
    def box():
        return next(field for field in form_of(name, clustered) if field.startswith("confirm"))

    def is_done():
        clustered.reload()
        return clustered.count() == 2 or not clustered.has_sample_field("dedup_kept")

    for delegate in (False, True):
        with pytest.raises(foo.executor.ExecutionError, match="plan"):
            support.run(name, clustered, delegate=delegate, confirm=True)
    outdated = box()
    call("keep_first_per_cluster", clustered, descending=True)
    support.run(name, clustered, **{outdated: True})
    with contextlib.suppress(foo.executor.ExecutionError):
        support.run(name, clustered, run_key="other", **{box(): True})
    assert not is_done()
    support.run(name, clustered, **{box(): True})
    assert is_done()


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("export_deduplicated", "export_dir"),
        ("group_into_folders", "export_dir"),
        ("frames_from_videos", "output_dir"),
        ("write_report", "export_dir"),
        ("load_annotations", "export_dir"),
        ("load_annotations", "labels_path"),
        ("compute_embeddings", "weights"),
        ("find_unique_samples", "weights"),
        ("sort_by_similarity", "picture"),
    ],
)
def test_the_folders_setting_confines_paths_that_the_app_asks_for(
    vector_dataset, in_app, monkeypatch, tmp_path, name, option
):
    made, folder = vector_dataset(directions(0, 1)), tmp_path / "shared"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    monkeypatch.setenv("ONLYONE_FOLDERS", f"{tmp_path / 'other'}:{folder}")
    required = {"export_dir": str(folder / "x"), "label_field": "truth"} if name == "load_annotations" else {}
    if option == "weights":
        required = {"embeddings_field": "new"}
    for path in (tmp_path / "x", folder / ".." / "x", folder / "link" / "x", "/"):
        with pytest.raises(foo.executor.ExecutionError, match="ONLYONE_FOLDERS"):
            support.run(name, made, **{**required, option: str(path)})
    assert "ONLYONE_FOLDERS" not in problem(name, made, **{**required, option: str(folder / "x")})
    if option == "weights":
        assert not problem(name, made, **required, weights="untrained")
    monkeypatch.delenv("FIFTYONE_SERVER")
    assert "ONLYONE_FOLDERS" not in problem(name, made, **{**required, option: str(tmp_path / "x")})


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("keep_first_per_cluster", {"run_key": "other"}, "'other'"),
        ("cluster_duplicates", {"embeddings_field": "other"}, "'other'"),
        ("cluster_duplicates", {"eps": "90"}, '"90 %"'),
        ("cluster_duplicates", {"eps": "100 %"}, "'100 %'"),
        ("compute_embeddings", {"weights": "/nowhere.h5", "embeddings_field": "new"}, "'/nowhere.h5'"),
        (
            "find_unique_samples",
            {"layer": "fc1", "embeddings_field": "new"},
            "the layer 'fc1'",
        ),
        ("find_unique_samples", {}, "no measured threshold"),
        ("find_unique_samples", {"eps": "0.1", "order_by": "size"}, "'size' does not exist"),
        ("find_copies", {"protect_tags": "dusk"}, "the tag 'dusk'"),
        ("build_similarity_index", {"brain_key": "foreign"}, "'foreign' is not OnlyOne's"),
        ("sort_by_similarity", {"k": 5}, "Nothing to search for"),
        ("sort_by_similarity", {"picture": "(file)"}, "OnlyOne did not write 'vgg16'"),
        ("sweep_thresholds", {"min_samples": 3}, "need 1 or 2"),
        (
            "cluster_duplicates",
            {"eps": "0.1", "reference": "dusk"},
            "boolean field 'dusk'",
        ),
        ("cluster_duplicates", {"eps": "0.1", "within": "camera"}, "'camera' does not exist"),
        ("cluster_duplicates", {"eps": "0.1", "splits": "fold"}, "'fold' does not exist"),
        (
            "cluster_duplicates",
            {"eps": "0.1", "run_key": "mine"},
            "'mine_cluster' exists",
        ),
        ("keep_first_per_cluster", {"reference": "dusk"}, "was clustered with None"),
        ("split_by_cluster", {"stratify": "truth"}, "'truth' is no field"),
        (
            "export_deduplicated",
            {"export_dir": "(new)", "label_field": "truth"},
            "'truth' is not a label",
        ),
        ("restore_removed", {}, "'dedup' are in an archive"),
        ("delete_run", {"run_key": "other"}, "no run 'other'"),
        ("group_into_folders", {"export_dir": "(new)", "run_key": "other"}, "no run 'other'"),
        ("write_report", {"export_dir": "(new)", "run_key": "other"}, "no run 'other'"),
        ("load_annotations", {"export_dir": "(full)", "label_field": "truth"}, "holds no manifest.csv"),
        ("sort_by_similarity", {"picture": "/nowhere.png"}, "'/nowhere.png'"),
        ("export_deduplicated", {"export_dir": "(full)"}, "not empty"),
        ("export_deduplicated", {"export_dir": "/"}, "not empty"),
        ("export_deduplicated", {"export_dir": "~nobody-here"}, "home directory"),
        ("compare_samples", {}, "got 1"),
        ("build_similarity_index", {"search_k": 0}, "must be at least 1, or -1"),
        (
            "find_unique_samples",
            {"weights": "untrained", "run_key": "own"},
            "'own_kept' exists and is not OnlyOne's",
        ),
        ("cluster_duplicates", {"eps": "97 %", "metric": "euclidean"}, "must be a distance where metric"),
    ],
)
def test_the_form_tells_at_once_what_the_step_would_refuse(clustered, tmp_path, name, given, told):
    (tmp_path / "file").touch()
    places = {"(full)": tmp_path, "(new)": tmp_path / "new", "(file)": clustered.first().filepath}
    given = {key: str(places[value]) if value in places else value for key, value in given.items()}
    if name == "compare_samples":
        clustered.delete_samples(clustered.values("id")[1:])
    clustered.add_sample_field("mine_cluster", fo.IntField)
    clustered.add_sample_field("own_kept", fo.BooleanField)
    fob.compute_similarity(clustered, embeddings="vgg16", brain_key="foreign", backend="sklearn")
    before = documents(clustered)
    assert told in problem(name, clustered, **given)
    with pytest.raises(foo.executor.ExecutionError, match=re.escape(told)):
        support.run(name, clustered, **given)
    assert documents(clustered) == before


def test_the_app_reads_labels_where_python_reads_names(clustered, in_app):
    asked = dict(support.requests(support.run("remove_duplicates", clustered)))["show_output"]
    assert "Restore removed" in asked["results"]["summary"]
    assert "restore_removed" not in json.dumps(asked["outputs"])  # nothing is done yet: no button to undo it
    box = next(field for field in form_of("remove_duplicates", clustered) if field.startswith("confirm"))
    done = dict(support.requests(support.run("remove_duplicates", clustered, **{box: True})))["show_output"]
    assert "1 sample removed, 2 remain" in done["results"]["summary"]
    assert support.uri("restore_removed") in json.dumps(done["outputs"])
    assert "Cluster duplicates" in problem("keep_first_per_cluster", clustered, run_key="other")
    told = form_of("load_annotations", clustered)["export_dir"].view.description
    assert "Export deduplicated" in told
    words = support.plugin("operators.words").app_words
    for person in (
        "/x/output_dir/a",
        "logo.eps",
        "the field 'label_field'",
        "/x/export_dir.csv",
        "run_key-2",
    ):
        assert words(f"see {person}: eps of export_dir.") == f'see {person}: the threshold of "Export dir".'


def test_a_threshold_may_be_given_in_percent(clustered):
    assert not problem("cluster_duplicates", clustered, eps="97 % similar")
    assert "from 1 to 3" in problem("cluster_duplicates", clustered, target="4")
    assert call("cluster_duplicates", clustered, eps="97%").eps == 0.03


def test_the_form_says_how_many_samples_and_never_takes_a_selection_by_itself(clustered):
    def target(view, selected, name="cluster_duplicates"):
        context = foo.executor.ExecutionContext(
            {"dataset_name": clustered.name, "view": view._serialize(), "selected": selected, "params": {}}
        )
        form = foo.get_operator(support.uri(name)).resolve_input(context).type.properties
        asked = form["view_target"]
        return asked.default, {choice.value: choice.description for choice in asked.view.choices}

    ids = clustered.values("id")
    assert target(clustered.view(), ids[:1]) == (
        "DATASET",
        {"DATASET": "3 samples", "SELECTED_SAMPLES": "1 selected sample"},
    )
    assert target(clustered.limit(2), ids[:1]) == (
        "CURRENT_VIEW",
        {"DATASET": "3 samples", "CURRENT_VIEW": "2 samples", "SELECTED_SAMPLES": "1 selected sample"},
    )
    # The grid shows what is kept when a run has ended: an account of that alone would leave out what was dropped.
    kept = clustered.load_saved_view("dedup-kept")
    for name in ("export_deduplicated", "write_report", "remove_duplicates"):
        assert target(kept, [], name)[0] == "DATASET"
        assert target(kept.limit(1), [], name)[0] == "CURRENT_VIEW"
    assert target(kept, [])[0] == "CURRENT_VIEW"
    assert target(kept, [], "keep_first_per_cluster")[0] == "DATASET"


def test_the_form_has_the_weights_and_the_layer_that_the_field_was_made_with(copy):
    made = copy("a")
    properties = form_of("find_unique_samples", made, more_options=True)
    assert properties["weights"].default == "untrained"
    assert properties["layer"].default == "block5_conv1"
    for precision, default in (("float32", "float32"), ("bfloat16", "auto")):  # the latter is no choice
        declare_as_ours(made, precision=precision)
        properties = form_of("find_unique_samples", made, more_options=True)
        assert properties["precision"].default == default


@pytest.mark.parametrize("name", ["compute_embeddings", "find_unique_samples"])
def test_the_form_refuses_to_mix_vectors_of_other_weights_or_layers(copy, name):
    made = copy("a")
    assert re.search(r"'untrained \(.*not 'imagenet \(", problem(name, made, weights="imagenet"))
    assert "with layer 'block5_conv1', not 'block4'" in problem(
        name, made, weights="untrained", layer="block4"
    )
    assert not problem(name, made, weights="imagenet", recompute=True)
    declare_as_ours(made, weights_source="/gone.h5")
    assert form_of(name, made)["weights"].default == "/gone.h5"
    assert not problem(
        name, made, weights="/gone.h5", layer="block5_conv1"
    )  # what is up to date needs no file
    assert "no weights file '/other.h5'" in problem(name, made, weights="/other.h5", layer="block5_conv1")


def test_the_form_warns_of_samples_that_lose_their_decision(clustered):
    def warning(samples):
        context = {"dataset_name": clustered.name, "view": samples._serialize(), "params": {}}
        form = foo.get_operator(support.uri("keep_first_per_cluster"))
        shown = form.resolve_input(foo.executor.ExecutionContext(context)).type.properties.get("undecided")
        return shown and shown.view.label

    assert warning(clustered.view()) is None
    assert warning(clustered.limit(2)).startswith("1 sample that is not here")
    assert warning(clustered.limit(1)).startswith("2 samples that are not here")


def test_the_form_says_how_many_cluster_tags_are_written_at_most(clustered):
    def words(**params):
        return form_of("cluster_duplicates", clustered, eps="0.1", **params)["tags"].view.label

    assert words().startswith("At most 1 cluster tag,")  # of three samples two make one cluster
    assert words(tag_clusters=0).startswith("At most 0 cluster tags,")


def test_a_form_that_embeds_says_how_many_pictures_and_about_how_long(copy):
    made = copy("a")
    label = form_of("find_unique_samples", made)["target_words"].view.label
    assert label.startswith(
        f"11 samples of {made.name!r}, 1 of them to embed: "
    )  # the one that cannot be read
    assert form_of("cluster_duplicates", made)["target_words"].view.label == f"11 samples of {made.name!r}"
    again = form_of("compute_embeddings", made, recompute=True)["target_words"].view.label
    assert again.startswith(f"11 samples of {made.name!r}, 11 of them to embed: ")


def test_a_form_says_nothing_of_embedding_where_the_vectors_are_used_as_they_are(vector_dataset):
    made = vector_dataset([*directions(0, 1), None])
    label = form_of("find_unique_samples", made)["target_words"].view.label
    assert label == f"3 samples of {made.name!r}"


def test_the_form_shows_the_layer_of_the_fields_vectors_where_it_is_another_than_usual(vector_dataset):
    made = vector_dataset(np.eye(512))
    declare_as_ours(made, dimension=512)
    assert "layer" not in form_of("find_unique_samples", made)
    declare_as_ours(made, layer="block5", dimension=512, weights_source="untrained")
    shown = form_of("find_unique_samples", made)
    sent = {name: shown[name].default for name in ("weights", "layer")} | {"eps": "0.1"}  # as the App does
    assert sent["layer"] == "block5"
    assert not problem("find_unique_samples", made, **sent)


def test_removing_from_a_view_that_is_empty_by_now_is_refused_neither_by_the_form_nor_by_the_step(
    clustered, tmp_path
):
    call("remove_duplicates", clustered, confirm=True)
    empty = clustered.match_tags("dedup:duplicate")
    assert "No more to remove" in call("remove_duplicates", empty).summary()
    assert not problem("remove_duplicates", empty, view_target="CURRENT_VIEW")
    folder = {"export_dir": str(tmp_path / "new")}
    for name, its in (
        ("keep_first_per_cluster", {}),
        ("write_report", folder),
        ("group_into_folders", folder),
    ):
        assert "no samples here" in problem(name, empty, view_target="CURRENT_VIEW", **its)


def test_a_view_without_a_sample_of_the_run_is_refused_by_the_form(clustered):
    clustered.add_sample(fo.Sample(filepath="/nowhere/new.png"))
    new = clustered.exists("dedup_cluster", False)
    for name in ("keep_first_per_cluster", "split_by_cluster", "remove_duplicates"):
        assert "No sample here is in the run 'dedup'" in problem(name, new, view_target="CURRENT_VIEW")


def test_a_search_without_an_index_builds_it_and_the_form_says_so(copy):
    made = copy("a")
    assert "about 1 second" in form_of("sort_by_similarity", made)["builds"].view.label
    found = call("sort_by_similarity", made, selected=made.values("id")[:1], k=3)
    assert len(found.neighbors) == 3
    assert made.list_brain_runs() == ["vgg16_annoy"]


def test_in_the_app_only_the_cluster_that_its_server_names_is_used(vector_dataset, in_app, monkeypatch):
    made = vector_dataset(directions(0, 1))
    monkeypatch.setenv("ONLYONE_RAY", "head:6379")
    assert "problem" not in form_of("cluster_duplicates", made, eps=0.1, ray="head:6379")
    with pytest.raises(foo.executor.ExecutionError, match="ONLYONE_RAY"):
        support.run("cluster_duplicates", made, eps=0.1, ray="ray://elsewhere:10001")


def test_in_the_app_a_run_that_would_shrink_is_confirmed_by_what_it_would_lose(clustered, in_app):
    part = clustered.limit(2)
    context = foo.executor.ExecutionContext(
        {"dataset_name": clustered.name, "view": part._serialize(), "params": {"eps": "0.01"}}
    )
    form = foo.get_operator(support.uri("cluster_duplicates")).resolve_input(context).type.properties
    box = next(field for field in form if field.startswith("confirm"))
    support.run("cluster_duplicates", part, eps=0.01)
    assert len(clustered.exists("dedup_cluster")) == 3
    support.run("cluster_duplicates", part, eps=0.01, **{box: True})
    assert len(clustered.exists("dedup_cluster")) == 2
    assert not [name for name in form_of("cluster_duplicates", clustered) if name.startswith("confirm")]
