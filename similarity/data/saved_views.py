"""Saved views, written so that a kill at any moment leaves none that FiftyOne cannot open; the view of a search.

FiftyOne deletes a saved view before it removes the view from the dataset's list. Killed in between, it then counts one view
too many, and opens or deletes another view than requested.
"""

from typing import Any

import fiftyone as fo
import fiftyone.core.stages as fos
from bson import DBRef, json_util
from fiftyone.core.odm.views import SavedViewDocument

from . import locks
from . import samples as sm

# Stages that mean the same on more samples: a person may add them to the results of a search.
_NARROWING = (
    fos.Exists,
    fos.FilterField,
    fos.FilterLabels,
    fos.Match,
    fos.MatchLabels,
    fos.MatchTags,
    fos.SortBy,
)


def save(dataset: fo.Dataset, name: str, view: fo.DatasetView, description: str) -> None:
    """Save a view under a name, in place of the view that has the name, unless it is the same."""
    if [
        document.description
        for document in mend(dataset)
        if document.name == name and _stages(document) == view._serialize(include_uuids=False)
    ] == [description]:
        return
    delete(dataset, name)
    locks.check()
    dataset.save_view(name, view, description)


def delete(dataset: fo.Dataset, name: str) -> None:
    """Delete a saved view, if there is one."""
    locks.check()
    listed = mend(dataset)
    for document in [document for document in listed if document.name == name]:
        dataset._doc.saved_views.remove(document)
        dataset._doc.save(virtual=True)
    # The view just removed from the list, and views that a kill left off it.
    others = [document.id for document in listed if document.name != name]
    SavedViewDocument.objects(dataset_id=dataset._doc.id, name=name, id__nin=others).delete()


def marked(dataset: fo.Dataset, mark: str) -> list[str]:
    """Return the names of the saved views whose description ends with a mark."""
    return [
        document.name for document in mend(dataset) if (document.description or "").rstrip().endswith(mark)
    ]


def stages(dataset: fo.Dataset) -> list[list[dict[str, Any]]]:
    """Return the serialized stages of every saved view, without their uuids."""
    return [_stages(document) for document in mend(dataset)]


def _stages(document: SavedViewDocument) -> list[dict[str, Any]]:
    return [json_util.loads(stage) for stage in document.view_stages]


def mend(dataset: fo.Dataset) -> list[SavedViewDocument]:
    """Remove missing views from the dataset's list of saved views; return the existing ones."""
    dataset._doc.reload("saved_views")
    listed = list(dataset._doc.saved_views)
    found = [document for document in listed if not isinstance(document, DBRef)]
    if len(found) < len(listed):
        dataset._doc.saved_views = found
        dataset._doc.save(virtual=True)
    return found


def searched(view: fo.DatasetView) -> fo.DatasetView:
    """Return the searched view of a search's results, with the filters that a person has added since; or the view itself.

    A search, OnlyOne's or FiftyOne's, leaves an ordered selection, and OnlyOne's the percentages too. A selection saved
    as a view was not left by a search, and is itself searched.
    """
    left, added = list(view._stages), []
    kept = stages(view._root_dataset) if left else []
    while left and [stage._serialize(include_uuid=False) for stage in left] not in kept:
        last = left.pop()
        if isinstance(last, _NARROWING):
            added.insert(0, last)
        elif not _is_search(last, view._root_dataset):
            left.append(last)
            break
    if len(left) + len(added) == len(view._stages):
        return view
    before = view._base_view
    for stage in [*left, *added]:
        before = before.add_stage(stage)
    return before


def _is_search(stage: fos.ViewStage, dataset: fo.Dataset) -> bool:
    if isinstance(stage, fos.SetField):  # the percentages of a search of ours
        return bool(sm.provenance(dataset, stage.field).get("search"))
    return isinstance(stage, fos.SortBySimilarity) or (isinstance(stage, fos.Select) and stage.ordered)
