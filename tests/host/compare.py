"""Whether two datasets are equal, and if not, where they differ."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import bson
import fiftyone as fo

TIMES = {
    "created_at",
    "last_modified_at",
    "last_loaded_at",
    "last_deletion_at",
    "timestamp",
    "started",
    "finished",
    "seconds",
}


def samples(dataset: fo.Dataset, omit: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Every sample of a dataset as the database has it, by id; the database's own times apart."""
    omitted = {*TIMES, "_dataset_id", *omit}
    found = {}
    for document in dataset._sample_collection.find({}):
        sample_id = str(document.pop("_id"))
        found[sample_id] = {k: v for k, v in document.items() if k not in omitted}
    return found


def state(dataset: fo.Dataset, results: bool = True) -> dict[str, Any]:
    """All that a dataset is to a person: samples, fields, saved views, runs; times and its own name and ids apart."""
    dataset._reload(hard=True)
    dataset._run_cache.clear()
    found = {
        "samples": samples(dataset),
        "fields": {name: _field(field) for name, field in dataset.get_field_schema(flat=True).items()},
        "views": {name: _stages(dataset, name) for name in dataset.list_saved_views()},
        "runs": {key: _timeless(dataset.get_run_info(key).config.serialize()) for key in dataset.list_runs()},
        "brain": dataset.list_brain_runs(),
        "info": _timeless(dict(dataset.info)),
        "tags": list(dataset.tags),
        "persistent": dataset.persistent,
    }
    if results:
        found["results"] = {key: _results(dataset, key) for key in dataset.list_runs()}
    return renamed(found, {dataset.name: "<dataset>", str(dataset._doc.id): "<dataset id>"})


def files(folder: Path) -> dict[str, str]:
    """Content digest of every file below a folder, by its path in it."""
    return {
        str(path.relative_to(folder)): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() or path.is_symlink()
    }


def digest(path: Path) -> str:
    """Content digest of a file."""
    return blake2b(path.read_bytes(), digest_size=8).hexdigest()


def differences(left: Any, right: Any, where: str = "") -> list[str]:
    """Where two states differ, in words; empty if nowhere."""
    if isinstance(left, dict) and isinstance(right, dict):
        found = [f"{where}.{key}: only left" for key in left.keys() - right.keys()]
        found += [f"{where}.{key}: only right" for key in right.keys() - left.keys()]
        for key in left.keys() & right.keys():
            found += differences(left[key], right[key], f"{where}.{key}")
        return sorted(found)
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return [line for i, (one, other) in pairs for line in differences(one, other, f"{where}[{i}]")]
    equal = bson.encode({"v": left}) == bson.encode({"v": right})  # NaN equals NaN
    return [] if equal else [f"{where}: {left!r} != {right!r}"]


def _field(field: fo.Field) -> dict[str, Any]:
    kind = getattr(field, "document_type", None)
    return {
        "type": str(field),
        "document": kind.__name__ if kind else None,
        "description": field.description,
        "info": _timeless(dict(field.info or {})),
    }


def _stages(dataset: fo.Dataset, name: str) -> dict[str, Any]:
    view = dataset.load_saved_view(name)
    stages = [_named(stage._serialize(include_uuid=False)) for stage in view._stages]
    return {
        "stages": stages,
        "ids": sorted(view.flatten().values("id") if view._is_dynamic_groups else view.values("id")),
    }


def _named(stage: dict[str, Any]) -> dict[str, Any]:
    kwargs = {name: value for name, value in stage["kwargs"] if name != "_state"}
    return {"cls": stage["_cls"], "kwargs": repr(kwargs)}


def _results(dataset: fo.Dataset, key: str) -> Any:
    found = dataset.load_run_results(key, cache=False)
    return _timeless(dict(found.steps)) if found is not None else None


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _timeless(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, list | tuple):
        return [_timeless(item) for item in value]
    return value


def renamed(value: Any, names: dict[str, str]) -> Any:
    """A value with texts inside it replaced, the longest first: what must differ between two equal datasets."""
    pattern = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))

    def rename(item: Any) -> Any:
        if isinstance(item, dict):
            return {rename(str(key)): rename(value) for key, value in item.items()}
        if isinstance(item, list | tuple):
            return [rename(part) for part in item]
        return pattern.sub(lambda found: names[found.group()], item) if isinstance(item, str) else item

    return rename(value)
