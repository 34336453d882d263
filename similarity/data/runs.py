"""Run records: the steps of a run, their options, and every name that it owns.

A run is a FiftyOne custom run. Its config holds the record (short, read by the App); long values, such as the
certificate, are in the run's results.
"""

import importlib.metadata
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.utils as fou
import gridfs

from ..declare import Options
from ..workflow import CLUSTER, RECORDED, Step
from . import locks, saved_views
from . import samples as sm
from .names import Names

VERSION = "0.1.0"
METHOD = "onlyone"

WRITING, DONE = "writing", "done"


def load(dataset: fo.Dataset, run_key: str) -> dict[str, Any]:
    """Return the record of a run.

    Raises:
        ValueError: if the run does not exist, or is not one of OnlyOne's
    """
    if not dataset.has_run(run_key):
        raise ValueError(_missing(dataset, run_key))
    config = dataset.get_run_info(run_key).config
    if getattr(config, "method", None) != METHOD:
        raise ValueError(f"The run {run_key!r} is not OnlyOne's: choose another run_key")
    return dict(config.record)


def _missing(dataset: fo.Dataset, run_key: str) -> str:
    """Return why a run has no record, and the remedy."""
    others = renamed(dataset, run_key)
    if others:
        return (
            f"The run {run_key!r} was renamed to {others[0]!r}, while its fields, tags and views have kept their names: "
            f"rename it back (dataset.rename_run({others[0]!r}, {run_key!r})), or run {CLUSTER.operator} again"
        )
    if any(owns_field(dataset, run_key, name) for name in Names(run_key).fields):
        return (
            f"The record of the run {run_key!r} was deleted, while its fields are there: run {CLUSTER.operator} again, or "
            "delete_run to delete the rest"
        )
    known = ", ".join(keys(dataset)) or "none yet"
    return f"There is no run {run_key!r} (runs: {known}). Run {CLUSTER.operator} first"


def written_as(dataset: fo.Dataset, run_key: str) -> str:
    """Return the key that a run was written under, which names its fields, tags and views; FiftyOne can rename a run."""
    return load(dataset, run_key).get("run_key", run_key)


def renamed(dataset: fo.Dataset, run_key: str) -> list[str]:
    """List the runs that were written under a key and have been renamed."""
    return [key for key in keys(dataset) if key != run_key and written_as(dataset, key) == run_key]


def keys(dataset: fo.Dataset) -> list[str]:
    """Return the run keys of OnlyOne's runs."""
    return [
        key
        for key in dataset.list_runs()
        if getattr(dataset.get_run_info(key).config, "method", None) == METHOD
    ]


def load_results(dataset: fo.Dataset, run_key: str) -> dict[str, Any]:
    """Return the long results of a run: ``{step: results}``."""
    load(dataset, run_key)
    # The process's cache may be older than the run, and a kill can leave the name of a deleted file.
    try:
        results = dataset.load_run_results(run_key, cache=False, load_view=False)
    except (AttributeError, gridfs.errors.NoFile, gridfs.errors.CorruptGridFile):
        return {}
    return dict(results.steps) if results is not None else {}


def step_results(dataset: fo.Dataset, run_key: str, step: Step) -> dict[str, Any]:
    """Return the long results of a step.

    Raises:
        ValueError: if the results are gone; the message names the operator to run
    """
    found = load_results(dataset, run_key).get(step.name)
    if found is None:
        raise ValueError(f"The results of {step.operator} in the run {run_key!r} are gone: run it again")
    return found


def reference_ids(dataset: fo.Dataset, run_key: str) -> set[str]:
    """Return the ids of the samples of a run's reference; none without one."""
    return set(load_results(dataset, run_key).get(CLUSTER.name, {}).get("reference_ids", ()))


def count_new(dataset: fo.Dataset, run_key: str) -> int:
    """Count the samples of a dataset that are not in a run's reference."""
    reference = reference_ids(dataset, run_key)
    known = len(reference.intersection(sm.everything(dataset).values("id"))) if reference else 0
    return sm.exact_count(dataset) - known


def require(dataset: fo.Dataset, run_key: str, step: Step) -> dict[str, Any]:
    """Return the record of a finished step of a run.

    Raises:
        ValueError: if the step, or one that it needs, was not run, did not finish, or has lost its fields; the message
            names the operator to run
    """
    if step.needs in RECORDED:
        require(dataset, run_key, step.needs)
    record = load(dataset, run_key)
    problem = lacks(dataset, run_key, record, step)
    if problem is not None:
        raise ValueError(f"{problem}: run {operator(record, step)} first")
    return dict(record["steps"][step.name])


def operator(record: dict[str, Any], step: Step) -> str:
    """Return the operator that did a step of a run, or else would do it."""
    return str(record["steps"].get(step.name, {}).get("operator", step.operator))


def options(dataset: fo.Dataset, run_key: str) -> dict[str, Any]:
    """Return the options that a run was clustered with; none where there is no such run of ours."""
    record = load(dataset, run_key) if run_key in keys(dataset) else {"steps": {}}
    return dict(record["steps"].get(CLUSTER.name, {}).get("options", {}))


def is_finished(record: dict[str, Any], step: Step) -> bool:
    """Return whether a step has written everything, by a run's record."""
    return record["steps"].get(step.name, {}).get("state") == DONE


def lacks(dataset: fo.Dataset, run_key: str, record: dict[str, Any], step: Step) -> str | None:
    """Return why a step of a run is not done, from the run's record and the dataset's fields; None if it is."""
    found, former = record["steps"].get(step.name), record.get("run_key", run_key)
    if found is None:
        return f"The run {run_key!r} has no result of {step.operator}"
    if former != run_key:
        return f"The run {run_key!r} was named {former!r} when it was written, as its fields, tags and views still are"
    if not is_finished(record, step):
        return f"{operator(record, step)} did not finish in the run {run_key!r}"
    gone = [name for name in found["fields"] if not owns_field(dataset, run_key, name)]
    return f"The field {gone[0]!r} of the run {run_key!r} was deleted or renamed" if gone else None


def begin(
    dataset: fo.Dataset, run_key: str, step: Step, options: Options, owned: dict[str, list[str]]
) -> None:
    """Check that the names are free or ours, then record that ``step`` is about to write them.

    The record is written before anything else, so that the next step knows a killed step's names. The records of later
    steps of the run are deleted: they described the values being replaced. Their options stay, under ``asked``.

    Args:
        owned: names that the step may write: ``{"fields": [...], "views": [...]}``

    Raises:
        ValueError: if a name belongs to somebody else; nothing has been written then
    """
    record = refuse_foreign(dataset, run_key, owned)
    steps = record["steps"]
    earlier = list(steps)[: list(steps).index(step.name)] if step.name in steps else list(steps)
    record["steps"] = {name: steps[name] for name in earlier}
    started = {
        "state": WRITING,
        "operator": step.operator,
        "options": options.recorded(),
        "started": _now(),
    }
    record["steps"][step.name] = started | owned
    record["asked"] = record.get("asked", {}) | {step.name: options.recorded()}
    _save(dataset, run_key, record)


def finish(
    dataset: fo.Dataset, run_key: str, step: Step, facts: dict[str, Any], results: dict[str, Any]
) -> None:
    """Record that ``step`` has written everything, with its counts (short) and its results (long)."""
    record = load(dataset, run_key) | {"version": VERSION}
    done = record["steps"][step.name]
    done.update(facts, state=DONE, finished=_now(), versions=versions())
    done["views"] = [name for name in done["views"] if dataset.has_saved_view(name)]
    everything = {k: v for k, v in load_results(dataset, run_key).items() if k in record["steps"]}
    everything[step.name] = results
    locks.check()
    stored = dataset.init_run_results(run_key)
    stored.steps = everything
    dataset.save_run_results(run_key, stored, overwrite=True)
    _save(dataset, run_key, record)


def note(dataset: fo.Dataset, run_key: str, facts: dict[str, Any]) -> None:
    """Add facts to a run's record, beside the facts of its steps."""
    _save(dataset, run_key, load(dataset, run_key) | facts)


def refuse_foreign(dataset: fo.Dataset, run_key: str, owned: dict[str, list[str]]) -> dict[str, Any]:
    """Check that names are free or the run's own, and return the run's record, a new one if there is none.

    Args:
        owned: as for :func:`begin`

    Raises:
        ValueError: if the run or a name belongs to somebody else
    """
    record = {"version": VERSION, "run_key": run_key, "steps": {}}
    if dataset.has_run(run_key) and written_as(dataset, run_key) == run_key:
        record = load(dataset, run_key)
    for name in owned.get("fields", []):
        if dataset.has_sample_field(name) and not owns_field(dataset, run_key, name):
            raise ValueError(
                f"The field {name!r} exists and is not OnlyOne's: choose another run_key, or rename the field"
            )
    its = saved_views.marked(dataset, Names(run_key).mark)
    slugs = {fou.to_slug(name): name for name in dataset.list_saved_views() if name not in its}
    for name in owned.get("views", []):
        taken = slugs.get(fou.to_slug(name))
        if taken is not None:
            raise ValueError(
                f"The saved view {taken!r} exists and is not OnlyOne's: choose another run_key, or rename the view"
            )
    return record


def owns_field(dataset: fo.Dataset, run_key: str, field: str) -> bool:
    """Return whether a field exists and a run wrote it."""
    return sm.provenance(dataset, field).get("run_key") == run_key


def clear(dataset: fo.Dataset, run_key: str, fields: list[str], tags: str, views: list[str]) -> None:
    """Delete a run's fields, tags that match the pattern in full, and saved views from the dataset.

    A field or view of the same name that somebody else has made since stays.
    """
    present = [name for name in fields if owns_field(dataset, run_key, name)]
    if present:
        locks.check()
        dataset.delete_sample_fields(present)
        sm.tidy_sidebar(dataset)
    sm.untag(dataset, tags)
    for name in saved_views.marked(dataset, Names(run_key).mark):
        if name in views:
            saved_views.delete(dataset, name)


def declare(
    dataset: fo.Dataset, run_key: str, fields: dict[str, tuple[type[fof.Field], str]], **info: str
) -> None:
    """Create a run's fields: ``{name: (type, description)}``; ``info`` is added to their infos."""
    for name, (kind, description) in fields.items():
        sm.declare_field(dataset, name, kind, description, {"run_key": run_key, "version": VERSION, **info})


def versions() -> dict[str, str]:
    """Return the versions of OnlyOne and of the libraries that decide its results."""
    libraries = ("fiftyone", "tensorflow", "annoy", "scikit-learn", "numpy", "pillow")
    return {"onlyone": VERSION, **{name: _installed(name) for name in libraries}}


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _save(dataset: fo.Dataset, run_key: str, record: dict[str, Any]) -> None:
    locks.check()
    if dataset.has_run(run_key):
        config = dataset.get_run_info(run_key).config
        config.record = record
        dataset.update_run_config(run_key, config)
        return
    config = dataset.init_run(method=METHOD)
    config.record = record
    dataset.register_run(run_key, config)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
