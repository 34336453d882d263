"""The view in which a search was made."""

import fiftyone as fo
import fiftyone.core.stages as fos

from . import samples as sm
from . import saved_views

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


def searched(view: fo.DatasetView) -> fo.DatasetView:
    """Return the searched view of a search's results, with the filters that a person has added since; or the view itself.

    A search, OnlyOne's or FiftyOne's, leaves an ordered selection, and OnlyOne's the percentages too. A selection saved
    as a view was not left by a search, and is itself searched.
    """
    stages, added = list(view._stages), []
    kept = saved_views.stages(view._root_dataset) if stages else []
    while stages and [stage._serialize(include_uuid=False) for stage in stages] not in kept:
        last = stages.pop()
        if isinstance(last, _NARROWING):
            added.insert(0, last)
        elif not _is_search(last, view._root_dataset):
            stages.append(last)
            break
    if len(stages) + len(added) == len(view._stages):
        return view
    before = view._base_view
    for stage in [*stages, *added]:
        before = before.add_stage(stage)
    return before


def _is_search(stage: fos.ViewStage, dataset: fo.Dataset) -> bool:
    if isinstance(stage, fos.SetField):  # the percentages of a search of ours
        return bool(sm.provenance(dataset, stage.field).get("search"))
    return isinstance(stage, fos.SortBySimilarity) or (isinstance(stage, fos.Select) and stage.ordered)
