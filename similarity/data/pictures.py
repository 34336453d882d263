"""The plain pictures of a sample collection."""

from collections.abc import Iterable
from pathlib import PurePath

import fiftyone as fo
import fiftyone.core.media as fom
import fiftyone.core.stages as fos
from fiftyone.core.collections import SampleCollection as Samples

_HIDING = (fos.SelectFields, fos.ExcludeFields)


def flat(collection: Samples) -> Samples:
    """Return the plain image samples of a collection, with all their fields.

    The active slice of a grouped dataset, all members of a ``group_by`` view, the collection itself otherwise. Where the
    view is sorted, samples that tie follow their ids.

    Raises:
        ValueError: if the collection has no whole pictures of its own (patches, frames, clips, video, 3D), or is empty;
            the message names the alternative
    """
    if collection._is_patches:
        raise ValueError(
            "OnlyOne compares whole pictures, and this view holds patches of them. Run it on the dataset, or export the "
            "patches as pictures first (view.export(dataset_type=fo.types.ImageClassificationDirectoryTree))"
        )
    if collection._is_frames or collection._is_clips:
        raise ValueError(
            "This view's samples are generated from videos. Make pictures of the frames first: run "
            "frames_from_videos on the dataset of the videos"
        )
    collection = _ungrouped(_plain(collection))
    if collection.media_type == fom.GROUP:
        collection = collection.select_group_slices(collection.group_slice)
    _check_media(collection)
    return collection


def _plain(collection: Samples) -> Samples:
    """Return the same samples with the fields that the view hides (as in the App's sidebar), ties broken by id."""
    stages = getattr(collection, "_stages", [])
    if not any(isinstance(stage, (*_HIDING, fos.SortBy)) for stage in stages):
        return collection
    return _with_stages(
        collection._dataset,
        [
            _tie_broken(stage) if isinstance(stage, fos.SortBy) else stage
            for stage in stages
            if not isinstance(stage, _HIDING)
        ],
    )


def _tie_broken(stage: fos.SortBy) -> fos.SortBy:
    """Break ties by id: the database promises no order among equals, and restored samples would change it."""
    keys = stage.field_or_expr
    if not isinstance(keys, list | tuple):
        keys = [(keys, 1)]
    flip = -1 if stage.reverse else 1  # FiftyOne takes 1, -1, and words that begin with "a" or "d"
    asked = [(key, -flip if order == -1 or str(order).startswith("d") else flip) for key, order in keys]
    last = [] if any(key in ("id", "_id") for key, _ in asked if isinstance(key, str)) else [("id", 1)]
    return fos.SortBy([*asked, *last])


def _ungrouped(collection: Samples) -> Samples:
    """Return all members of the groups of a ``group_by`` view; the collection itself otherwise."""
    if not collection._is_dynamic_groups:
        return collection
    *stages, last = collection._stages
    if not isinstance(last, fos.GroupBy) or last.match_expr is not None:
        return collection.flatten()
    # flatten() reads the whole collection once for each group; without the stage there are no groups
    if last.order_by is not None:
        stages.append(_tie_broken(fos.SortBy(last.order_by, reverse=last.reverse)))
    return _with_stages(collection._dataset, stages)


def _with_stages(dataset: fo.Dataset, stages: Iterable[fos.ViewStage]) -> fo.DatasetView:
    view = dataset.view()
    for stage in stages:
        view = view.add_stage(stage)
    return view


def _check_media(collection: Samples) -> None:
    media = collection.media_type
    if media in (fom.IMAGE, None):
        if not collection.limit(1).count():
            raise ValueError(
                "There are no samples here: add samples to the dataset, or choose another view or selection"
            )
        return
    slices = getattr(collection._dataset, "group_media_types", None) or {}
    pictures = [name for name, kind in slices.items() if kind == fom.IMAGE]
    if pictures:
        raise ValueError(
            f"OnlyOne compares pictures, and the samples of this slice are of media type {media!r}. Choose a slice with "
            f"pictures ({', '.join(pictures)}): dataset.group_slice = {pictures[0]!r}"
        )
    if media == fom.VIDEO:
        raise ValueError(
            "OnlyOne compares pictures, and these samples are videos. Make pictures of their frames first: run "
            "frames_from_videos on the dataset of the videos"
        )
    if media == fom.UNKNOWN:
        path = collection.limit(1).values("filepath")[0]
        raise ValueError(
            f"FiftyOne tells pictures by the extension of their files, and {PurePath(path).name!r} has none that it knows. "
            "If these are pictures, add them to a new dataset as pictures: "
            'dataset.add_samples([fo.Sample(filepath=path, media_type="image") for path in paths])'
        )
    raise ValueError(
        f"OnlyOne compares pictures, and these samples are of media type {media!r}: choose a dataset of pictures"
    )
