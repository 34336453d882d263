"""Saved views, written so that a kill at any moment leaves none that FiftyOne cannot open.

FiftyOne deletes a saved view before it takes it off the dataset's list. Killed in between, it counts one view too many from
then on, and opens or deletes another view than the one asked for.
"""

from typing import Any

import fiftyone as fo
from bson import DBRef, json_util
from fiftyone.core.odm.views import SavedViewDocument

from . import locks


def save(dataset: fo.Dataset, name: str, view: fo.DatasetView, description: str) -> None:
    """Save a view under a name, in the place of one that has it."""
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
    # The one just taken off the list, and those that a kill left without ever putting them on it.
    others = [document.id for document in listed if document.name != name]
    SavedViewDocument.objects(dataset_id=dataset._doc.id, name=name, id__nin=others).delete()


def marked(dataset: fo.Dataset, mark: str) -> list[str]:
    """Names of the saved views whose description ends with a mark."""
    return [
        document.name for document in mend(dataset) if (document.description or "").rstrip().endswith(mark)
    ]


def stages(dataset: fo.Dataset) -> list[list[dict[str, Any]]]:
    """The serialized stages of every saved view, without their uuids."""
    return [[json_util.loads(stage) for stage in document.view_stages] for document in mend(dataset)]


def mend(dataset: fo.Dataset) -> list[SavedViewDocument]:
    """Take what does not exist off the dataset's list of saved views; return what does."""
    dataset._doc.reload("saved_views")
    listed = list(dataset._doc.saved_views)
    found = [document for document in listed if not isinstance(document, DBRef)]
    if len(found) < len(listed):
        dataset._doc.saved_views = found
        dataset._doc.save(virtual=True)
    return found
