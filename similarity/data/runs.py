"""Run records: what a run did, with which options, and every name that it owns.

A run is a FiftyOne custom run. Its config holds the record (short, read by the App); what is long, such as the
certificate, is in the run's results.
"""

import importlib.metadata
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.utils as fou
import gridfs

from ..declare import Options
from . import samples as sm
from . import saved_views
from .locks import lock

VERSION = "0.1.0"
METHOD = "onlyone"

WRITING, DONE = "writing", "done"


@dataclass(frozen=True)
class Names:
    """Every name that a run may own, from its run key."""

    run_key: str

    @property
    def cluster(self) -> str:
        """Field: number of the cluster, -1 = noise, None = not in the run."""
        return f"{self.run_key}_cluster"

    @property
    def kept(self) -> str:
        """Field: whether the sample is kept."""
        return f"{self.run_key}_kept"

    @property
    def kept_id(self) -> str:
        """Field: id of the nearest kept sample of its cluster."""
        return f"{self.run_key}_kept_id"

    @property
    def similarity(self) -> str:
        """Field: similarity in percent to that sample."""
        return f"{self.run_key}_similarity"

    def cluster_tag(self, number: int) -> str:
        """Tag of the members of a cluster."""
        return f"{self.run_key}:cluster:{number:04d}"

    def tag(self, word: str) -> str:
        """Tag ``noise``, ``duplicate`` or ``skipped``."""
        return f"{self.run_key}:{word}"

    def view(self, word: str) -> str:
        """Saved view ``kept``, ``duplicates``, ``clusters``, ``worst``, ``skipped`` or ``confusing``."""
        return f"{self.run_key}-{word}"

    @property
    def cluster_tags(self) -> str:
        """Regular expression of the tags that clustering writes."""
        return rf"{re.escape(self.run_key)}:(?:cluster:\d{{4,}}|noise|skipped)"

    @property
    def keep_tags(self) -> str:
        """Regular expression of the tags that keeping writes."""
        return rf"{re.escape(self.run_key)}:(?:duplicate|skipped)"

    @property
    def tags(self) -> str:
        """Regular expression of all tags that the run writes."""
        return f"{self.cluster_tags}|{self.keep_tags}"


def load(dataset: fo.Dataset, run_key: str) -> dict[str, Any]:
    """The record of a run.

    Raises:
        ValueError: if there is no such run, or it is not one of ours
    """
    if not dataset.has_run(run_key):
        known = ", ".join(keys(dataset)) or "none yet"
        raise ValueError(f"There is no run {run_key!r} (runs: {known}). Run cluster_duplicates first")
    config = dataset.get_run_info(run_key).config
    if getattr(config, "method", None) != METHOD:
        raise ValueError(f"The run {run_key!r} is not OnlyOne's: choose another run_key")
    return dict(config.record)


def keys(dataset: fo.Dataset) -> list[str]:
    """The run keys of OnlyOne's runs."""
    return [
        key
        for key in dataset.list_runs()
        if getattr(dataset.get_run_info(key).config, "method", None) == METHOD
    ]


def load_results(dataset: fo.Dataset, run_key: str) -> dict[str, Any]:
    """The long results of a run: ``{step: results}``."""
    load(dataset, run_key)
    # What the process remembers may be older than the run, and a kill can leave the name of a deleted file.
    try:
        results = dataset.load_run_results(run_key, cache=False, load_view=False)
    except (AttributeError, gridfs.errors.NoFile, gridfs.errors.CorruptGridFile):
        return {}
    return dict(results.steps) if results is not None else {}


def require_step(dataset: fo.Dataset, run_key: str, step: str, operator: str) -> dict[str, Any]:
    """The record of a finished step of a run, whose fields are there.

    Raises:
        ValueError: if the step was not run, or did not finish, or somebody deleted or renamed a field of it; the message
            names the operator to run
    """
    found = load(dataset, run_key)["steps"].get(step)
    if found is None:
        raise ValueError(f"The run {run_key!r} has no result of {operator} yet: run {operator} first")
    if found["state"] != DONE:
        raise ValueError(f"{operator} did not finish in the run {run_key!r}: run it again")
    names = Names(run_key)
    written = {"cluster": [names.cluster], "keep": [names.kept, names.kept_id, names.similarity]}
    for name in written[step]:
        if not dataset.has_sample_field(name):
            raise ValueError(f"The field {name!r} of the run {run_key!r} is gone: run {operator} again")
    return dict(found)


def begin(
    dataset: fo.Dataset, run_key: str, step: str, options: Options, owned: dict[str, list[str]]
) -> None:
    """Check that the names are free or ours, then record that ``step`` is about to write them.

    The record is written before anything else is, so that a killed step's names are known to the next one. Later steps
    of the run are forgotten: they described what is being replaced.

    Args:
        owned: names that the step may write: ``{"fields": [...], "views": [...]}``

    Raises:
        ValueError: if a name is somebody else's; nothing has been written then
    """
    record = refuse_foreign(dataset, run_key, owned)
    steps = record["steps"]
    earlier = list(steps)[: list(steps).index(step)] if step in steps else list(steps)
    record["steps"] = {name: steps[name] for name in earlier}
    record["steps"][step] = {"state": WRITING, "options": options.to_dict(), "started": _now()}
    _save(dataset, run_key, _owning(record, owned))


def own(dataset: fo.Dataset, run_key: str, owned: dict[str, list[str]]) -> None:
    """Record names that belong to a run beside its steps, about to be written: they go when the run is done again.

    Args:
        owned: as for :func:`begin`

    Raises:
        ValueError: if a name is somebody else's
    """
    _save(dataset, run_key, _owning(refuse_foreign(dataset, run_key, owned), owned))


def _owning(record: dict[str, Any], owned: dict[str, list[str]]) -> dict[str, Any]:
    names = {kind: sorted({*record.get(kind, []), *more}) for kind, more in owned.items()}
    return record | names


def finish(
    dataset: fo.Dataset, run_key: str, step: str, facts: dict[str, Any], results: dict[str, Any]
) -> None:
    """Record that ``step`` has written everything, with its counts (short) and its results (long)."""
    record = load(dataset, run_key)
    record["steps"][step].update(facts, state=DONE, finished=_now(), versions=versions())
    record["version"] = VERSION
    everything = {k: v for k, v in load_results(dataset, run_key).items() if k in record["steps"]}
    everything[step] = results
    record["fields"] = [name for name in record["fields"] if dataset.has_sample_field(name)]
    record["views"] = [name for name in record["views"] if dataset.has_saved_view(name)]
    stored = dataset.init_run_results(run_key)
    stored.steps = everything
    dataset.save_run_results(run_key, stored, overwrite=True)
    _save(dataset, run_key, record)


def refuse_foreign(dataset: fo.Dataset, run_key: str, owned: dict[str, list[str]]) -> dict[str, Any]:
    """Check that names are free or the run's own, and return the run's record, a new one if there is none.

    Args:
        owned: as for :func:`begin`

    Raises:
        ValueError: if the run or a name is somebody else's
    """
    record = load(dataset, run_key) if dataset.has_run(run_key) else {"version": VERSION, "steps": {}}
    for name in owned.get("fields", []):
        if dataset.has_sample_field(name) and not _owns(dataset, run_key, name):
            raise ValueError(
                f"The field {name!r} exists and is not OnlyOne's: choose another run_key, or rename the field"
            )
    slugs = {
        fou.to_slug(name): name for name in dataset.list_saved_views() if name not in record.get("views", [])
    }
    for name in owned.get("views", []):
        taken = slugs.get(fou.to_slug(name))
        if taken is not None:
            raise ValueError(
                f"The saved view {taken!r} exists and is not OnlyOne's: choose another run_key, or rename the view"
            )
    return record


def _owns(dataset: fo.Dataset, run_key: str, field: str) -> bool:
    return sm.provenance(dataset, field).get("run_key") == run_key


def clear(dataset: fo.Dataset, run_key: str, fields: list[str], tags: str, views: list[str]) -> None:
    """Take a run's fields, tags of the full pattern, and saved views off the dataset.

    A field of that name that somebody else has made since stays.
    """
    present = [name for name in fields if dataset.has_sample_field(name) and _owns(dataset, run_key, name)]
    if present:
        dataset.delete_sample_fields(present)
    sm.retag(dataset, tags, {})
    for name in views:
        saved_views.delete(dataset, name)


def declare(dataset: fo.Dataset, run_key: str, fields: dict[str, tuple[type[fof.Field], str]]) -> None:
    """Create a run's fields: ``{name: (type, description)}``."""
    for name, (kind, description) in fields.items():
        sm.declare_field(dataset, name, kind, description, {"run_key": run_key, "version": VERSION})


def delete(dataset: fo.Dataset, run_key: str) -> None:
    """Delete a run with everything that its record says it owns, and nothing else.

    Raises:
        ValueError: if there is no such run, or it is not one of ours
        Busy: if an operator is at work on it
    """
    with lock(dataset, f"run-{run_key}"):
        record = load(dataset, run_key)
        clear(dataset, run_key, record["fields"], Names(run_key).tags, record["views"])
        dataset.delete_run(run_key)


def versions() -> dict[str, str]:
    """Versions of OnlyOne and of the libraries that decide its results."""
    libraries = ("fiftyone", "tensorflow", "annoy", "scikit-learn", "numpy", "pillow")
    return {"onlyone": VERSION, **{name: _installed(name) for name in libraries}}


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _save(dataset: fo.Dataset, run_key: str, record: dict[str, Any]) -> None:
    if dataset.has_run(run_key):
        config = dataset.get_run_info(run_key).config
        config.record = record
        dataset.update_run_config(run_key, config)
        return
    config = dataset.init_run(method=METHOD)
    config.record = record
    dataset.register_run(run_key, config)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
