"""The group of OnlyOne's fields in the App's sidebar."""

import fiftyone as fo

GROUP = "deduplication"


def show(dataset: fo.Dataset, field: str) -> None:
    """Add a field to the group; the user's own groups stay as they are."""
    dataset.app_config._add_path_to_sidebar_group(field, GROUP, dataset=dataset)
    dataset.save()


def tidy(dataset: fo.Dataset) -> None:
    """Delete the group once it has no field, and the list of groups if it then equals FiftyOne's default."""
    groups = dataset.app_config.sidebar_groups or []
    left = [group for group in groups if group.name != GROUP or group.paths]
    if len(left) < len(groups):
        usual = fo.DatasetAppConfig.default_sidebar_groups(dataset)
        dataset.app_config.sidebar_groups = left if left != usual else None
        dataset.save()
