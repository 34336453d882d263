"""Every operator: the step that it runs, and how the App shows it."""

from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..similarity.data import runs, seals
from ..similarity.data import samples as sm
from ..similarity.handover_options import AnnotationsOptions, DeleteRunOptions
from ..similarity.options import KeepOptions, RunOptions
from ..similarity.result import Result, count
from ..similarity.search_options import FramesOptions
from ..similarity.steps import (
    annotations,
    cluster,
    compare,
    copies,
    delete_run,
    embed,
    export,
    folders,
    frames,
    index,
    keep,
    remove,
    report,
    restore,
    split,
    sweep,
    unique,
)
from ..similarity.steps.plans import count_undecided, refuse_shrinking
from ..similarity.workflow import CLUSTER, EMBED, KEEP
from .asking import AskingOperator, PlannedOperator
from .base import StepOperator
from .progress import cancel
from .searching import SortBySimilarity
from .words import app_words


class FindUniqueSamples(
    AskingOperator,
    step=unique.find_unique,
    check=unique.check,
    refuse=refuse_shrinking,
    label="Find unique samples, leave out duplicates (deletes nothing)",
    icon="filter_none",
    asks=("weights", "eps"),
    opens_view=True,
    button="Find unique samples (OnlyOne)",
):
    """Embed, cluster and keep in one go; deletes nothing."""


class ComputeEmbeddings(StepOperator, step=embed.embed, check=embed.check, icon="memory"):
    """VGG16 embeddings into a field; skips up-to-date samples, and lists unreadable files."""


class BuildSimilarityIndex(
    StepOperator, step=index.index, check=index.check, icon="account_tree", needs=EMBED, targets=False
):
    """An Annoy index that the App's own similarity search uses."""


class CompareSamples(
    StepOperator,
    step=compare.compare,
    check=compare.check,
    icon="compare",
    needs=EMBED,
    targets=False,
    selects=True,
):
    """The similarity, in percent, of the selected samples, pair by pair."""


class SweepThresholds(StepOperator, step=sweep.sweep, check=sweep.check, icon="show_chart", needs=EMBED):
    """The number of samples that every threshold would keep; changes nothing in the dataset."""


class ClusterDuplicates(
    AskingOperator,
    step=cluster.cluster,
    check=cluster.check,
    refuse=refuse_shrinking,
    icon="bubble_chart",
    needs=EMBED,
):
    """Near-duplicate clusters (DBSCAN) as a field and tags, with their numbers, sizes and members."""


class FindCopies(
    AskingOperator,
    step=copies.find_copies,
    check=copies.check,
    refuse=refuse_shrinking,
    icon="file_copy",
    opens_view=True,
):
    """Files of the same bytes: which is kept for which, in seconds, without a model or a threshold."""


class FramesFromVideos(StepOperator, step=frames.frames, check=frames.check, icon="movie", risk="medium"):
    """Make a dataset of pictures of the frames of videos; run again, it adds those of new videos."""

    def add_plan(self, inputs: types.Object, samples: Any, options: FramesOptions) -> None:
        """Warn of videos whose frames were chosen otherwise earlier."""
        for number, words in enumerate(frames.chosen_otherwise(samples, options)):
            inputs.view(f"earlier_{number}", types.Warning(label=app_words(words)))


class KeepFirstPerCluster(
    StepOperator, step=keep.keep, check=keep.check, icon="filter_1", needs=CLUSTER, opens_view=True
):
    """Which sample is kept for which: the deduplicated view, saved."""

    def add_plan(self, inputs: types.Object, samples: Any, options: KeepOptions) -> None:
        """Warn of samples that would lose their decision."""
        lost = count_undecided(samples, options.run_key)
        if lost > 0:
            loses = count(lost, "sample that is not here loses its", "samples that are not here lose their")
            words = f"{loses} decision in the run {options.run_key!r}. Take the dataset to decide about all of them"
            inputs.view("undecided", types.Warning(label=words))


class ExportDeduplicated(
    StepOperator, step=export.export, check=export.check, icon="file_download", needs=KEEP, risk="medium"
):
    """Write the kept samples in a format that annotation tools read, with a manifest of all samples."""


class GroupIntoFolders(
    StepOperator,
    step=folders.folders,
    check=folders.check,
    icon="create_new_folder",
    needs=CLUSTER,
    risk="medium",
):
    """Write one folder per cluster, with copies or links of its pictures."""


class WriteReport(
    StepOperator, step=report.report, check=report.check, icon="summarize", needs=KEEP, risk="medium"
):
    """Write a report to hand on: one page with numbers, clusters and the worst pairs, beside its manifest."""


class SplitByCluster(
    AskingOperator,
    step=split.split,
    check=split.check,
    refuse=split.refuse_replacing,
    icon="call_split",
    needs=CLUSTER,
):
    """Tag train, val and test by whole clusters, so that no look-alikes are in two splits."""


class RemoveDuplicates(
    PlannedOperator,
    step=remove.remove,
    check=remove.check,
    icon="layers_clear",
    needs=KEEP,
    risk="high",
    opens_view=True,
    undone_by="restore_removed",
):
    """Take the samples that a run left out of the dataset, into an archive dataset; shows the plan first."""

    def plan(self, samples: Any, options: RunOptions) -> tuple[str, str]:
        """Return the plan's name, and the number of samples that the run leaves out."""
        dataset, number = sm.dataset_of(samples), remove.left_out(samples, options.run_key).count()
        total = runs.count_new(dataset, options.run_key)
        words = f"{count(number, 'sample')} of {total:,} would be removed; each is checked once more."
        return seals.run_state(runs.load(dataset, options.run_key)), words


class RestoreRemoved(
    StepOperator,
    step=restore.restore,
    check=restore.check,
    icon="restore",
    risk="medium",
    targets=False,
    selects=True,
    opens_view=True,
    button="Restore removed samples (OnlyOne)",
    in_archive=True,
):
    """Bring removed samples back as they were: all of them, or those selected in the archive dataset."""

    def finish(self, ctx, result: Result) -> Iterator[Any]:
        """Go back to the dataset that they were removed from, since the archive may be gone."""
        home = sm.dataset_of(result.view)
        if home.name == ctx.dataset_name:
            yield from super().finish(ctx, result)
        else:  # and nothing else about the dataset that is shown, which the App would look for
            yield ctx.ops.open_dataset(home.name)
            yield self.show(ctx, result)


class DeleteRun(
    PlannedOperator, step=delete_run.delete_run, icon="delete_sweep", risk="medium", targets=False
):
    """Take a run's fields, tags, saved views, map and record off; shows the plan first, and deletes no sample."""

    def plan(self, samples: Any, options: RunOptions) -> tuple[str, str]:
        """Return the name of the step's own plan, which is quick, and the numbers of what the run wrote."""
        found = delete_run.delete_run(samples, DeleteRunOptions(run_key=options.run_key))
        fields, views = count(len(found.fields), "field"), count(len(found.views), "saved view")
        tags, maps = count(len(found.tags), "tag"), count(len(found.maps), "map")
        return found.plan, f"{fields}, {views}, {tags} and {maps} would be deleted; samples and files stay."


class LoadAnnotations(
    PlannedOperator,
    step=annotations.load_annotations,
    icon="assignment_returned",
    risk="medium",
    targets=False,
    asks=("export_dir", "label_field", "labels_path", "overwrite"),
    opens_view=True,
):
    """Write the labels of an annotated export onto its samples, by its manifest; shows the plan first."""

    def plan(self, samples: Any, options: AnnotationsOptions) -> tuple[str, str]:
        """Return the step's own plan."""
        return annotations.plan_for_form(sm.dataset_of(samples), options)


class CancelStep(foo.Operator):
    """Cancel a step at work at its next progress; a button of the progress that its form shows."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="cancel_step",
            label="Cancel",
            description=(self.__doc__ or "").strip(),
            icon="stop",
            unlisted=True,
            risk_level="low",
        )

    def execute(self, ctx) -> None:
        """Cancel it."""
        cancel(ctx.params["id"])


OPERATORS = (
    FindUniqueSamples,
    FramesFromVideos,
    FindCopies,
    ComputeEmbeddings,
    BuildSimilarityIndex,
    SortBySimilarity,
    CompareSamples,
    SweepThresholds,
    ClusterDuplicates,
    KeepFirstPerCluster,
    SplitByCluster,
    ExportDeduplicated,
    LoadAnnotations,
    GroupIntoFolders,
    WriteReport,
    RemoveDuplicates,
    RestoreRemoved,
    DeleteRun,
    CancelStep,
)
