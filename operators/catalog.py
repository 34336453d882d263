"""Every operator: the step that it runs, and how the App shows it."""

import base64
from collections.abc import Iterator
from typing import Any

import fiftyone.operators.types as types
from fiftyone import ViewField as F

from ..similarity.data import runs, seals
from ..similarity.data import samples as sm
from ..similarity.data.saved_views import searched
from ..similarity.data.vectors import check_vector_field
from ..similarity.handover_options import AnnotationsOptions, DeleteRunOptions
from ..similarity.options import Options, RunOptions
from ..similarity.result import Result, count
from ..similarity.search_options import IndexOptions, SortOptions
from ..similarity.steps.annotations import load_annotations, plan_for_form
from ..similarity.steps.cluster import cluster
from ..similarity.steps.compare import check_number, compare
from ..similarity.steps.copies import find_copies
from ..similarity.steps.delete_run import delete_run
from ..similarity.steps.embed import embed
from ..similarity.steps.export import export
from ..similarity.steps.folders import folders
from ..similarity.steps.frames import frames
from ..similarity.steps.index import index
from ..similarity.steps.keep import keep
from ..similarity.steps.remove import remove
from ..similarity.steps.report import report
from ..similarity.steps.restore import restore
from ..similarity.steps.shrinking import refuse_shrinking
from ..similarity.steps.sort import SortResult, sort
from ..similarity.steps.split import refuse_replacing, split
from ..similarity.steps.sweep import sweep
from ..similarity.steps.unique import find_unique
from ..similarity.workflow import CLUSTER, EMBED, KEEP
from .asking import AskingOperator, PlannedOperator
from .base import StepOperator
from .request import in_app

UPLOAD = "upload"
INDEXED_A_SECOND = 2_000  # vectors of 512 values, on two cores: docs/benchmarks.md


class FindUniqueSamples(
    AskingOperator,
    step=find_unique,
    refuse=staticmethod(refuse_shrinking),
    label="Find unique samples, leave out duplicates (deletes nothing)",
    icon="filter_none",
    asks=("weights", "eps"),
    opens_view=True,
    button="Find unique samples (OnlyOne)",
):
    """Embed, cluster and keep in one go; deletes nothing."""


class ComputeEmbeddings(StepOperator, step=embed, icon="memory"):
    """VGG16 embeddings into a field; skips what is up to date, and lists what it could not read."""


class BuildSimilarityIndex(StepOperator, step=index, icon="account_tree", needs=EMBED, targets=False):
    """An Annoy index that the App's own similarity search uses."""


def _first_index(dataset) -> str:
    """Say that the index is built first, and about how long it takes."""
    seconds = max(1, round(sm.exact_count(dataset) / INDEXED_A_SECOND))
    return f"There is no index yet: it is built first, in about {count(seconds, 'second')}, once for all searches"


class SortBySimilarity(
    StepOperator,
    step=sort,
    icon="image_search",
    targets=False,
    selects=True,
    opens_view=True,
    in_passing=True,
    button="Sort by similarity to the selected samples (OnlyOne)",
    button_asks=False,
):
    """Sort the grid by similarity to the selected samples, or to a picture that is not in the dataset."""

    def add_to_form(self, inputs: types.Object, ctx) -> None:
        """Say what is searched for, and take an uploaded picture."""
        asked = f"Searching for {len(ctx.selected)} selected sample(s)"
        nothing = "No sample is selected: give a picture to search for"
        inputs.view("query", types.Notice(label=asked if ctx.selected else nothing))
        if not self._has_index(ctx):
            inputs.view("builds", types.Notice(label=_first_index(ctx.dataset)))
        inputs.uploaded_file(UPLOAD, view=types.FileView(label="Upload a picture to search for"), lite=True)

    def check(self, ctx, options: SortOptions) -> None:
        """Ask for vectors too, where the index is to be built first."""
        super().check(ctx, options)
        if not self._has_index(ctx):
            check_vector_field(ctx.dataset, IndexOptions().embeddings_field)

    def _has_index(self, ctx) -> bool:
        return ctx.dataset.has_brain_run(ctx.params.get("brain_key") or SortOptions().brain_key)

    def execute(self, ctx) -> Any:
        """Search; where the button was pressed with nothing selected, or without an index, open the form."""
        pressed = not ctx.params and in_app()
        ready = ctx.selected and self._has_index(ctx)
        return self._ask(ctx) if pressed and not ready else super().execute(ctx)

    def _ask(self, ctx) -> Iterator[Any]:
        yield ctx.prompt(self.uri)

    def samples(self, ctx) -> Any:
        """The current view; where it shows what a search found, what was searched."""
        return searched(super().samples(ctx))

    def show_in_grid(self, ctx, result: SortResult) -> Iterator[Any]:
        """The percentages, on the pictures."""
        yield ctx.ops.set_active_fields(list(dict.fromkeys([*ctx.active_fields, result.similarity_field])))

    def arguments(self, ctx) -> dict[str, Any]:
        """The selected samples, and the uploaded picture's bytes."""
        upload = ctx.params.get(UPLOAD)
        content = upload.get("content") if isinstance(upload, dict) else upload
        return {**super().arguments(ctx), "content": base64.b64decode(content) if content else None}


class CompareSamples(StepOperator, step=compare, icon="compare", needs=EMBED, targets=False, selects=True):
    """The similarity, in percent, of the selected samples, pair by pair."""

    def check(self, ctx, options: Options) -> None:
        """Count the samples too."""
        super().check(ctx, options)
        check_number(len(ctx.selected) or len(ctx.view))


class SweepThresholds(StepOperator, step=sweep, icon="show_chart", needs=EMBED):
    """What every threshold would keep; changes nothing in the dataset."""


class ClusterDuplicates(
    AskingOperator, step=cluster, refuse=staticmethod(refuse_shrinking), icon="bubble_chart", needs=EMBED
):
    """Near-duplicate clusters (DBSCAN) as a field and tags, with their numbers, sizes and members."""


class FindCopies(
    AskingOperator,
    step=find_copies,
    refuse=staticmethod(refuse_shrinking),
    icon="file_copy",
    opens_view=True,
):
    """Files of the same bytes: which is kept for which, in seconds, without a model or a threshold."""


class FramesFromVideos(StepOperator, step=frames, icon="movie", risk="medium"):
    """Make a dataset of pictures of the frames of videos; run again, it adds those of new videos."""


class KeepFirstPerCluster(StepOperator, step=keep, icon="filter_1", needs=CLUSTER, opens_view=True):
    """Which sample is kept for which: the deduplicated view, saved."""


class ExportDeduplicated(StepOperator, step=export, icon="file_download", needs=KEEP, risk="medium"):
    """Write the kept samples in a format that annotation tools read, with a manifest of what was left out."""


class GroupIntoFolders(StepOperator, step=folders, icon="create_new_folder", needs=CLUSTER, risk="medium"):
    """Write one folder per cluster, with copies or links of its pictures."""


class WriteReport(StepOperator, step=report, icon="summarize", needs=KEEP, risk="medium"):
    """Write a report to hand on: one page with numbers, clusters and the worst pairs, beside its manifest."""


class SplitByCluster(AskingOperator, step=split, refuse=staticmethod(refuse_replacing), icon="call_split"):
    """Tag train, val and test by whole clusters, so that no look-alikes are in two splits."""


class RemoveDuplicates(
    PlannedOperator,
    step=remove,
    icon="layers_clear",
    needs=KEEP,
    risk="high",
    opens_view=True,
    undone_by="restore_removed",
):
    """Take what a run left out of the dataset, into an archive dataset; shows the plan first."""

    def plan(self, ctx, options: RunOptions) -> tuple[str, str]:
        """How many samples the run leaves out."""
        runs.require(ctx.dataset, options.run_key, KEEP)
        kept = F(runs.Names(options.run_key).kept)
        number = sm.flat(ctx.target_view()).match(kept == False).count()  # noqa: E712
        samples = runs.count_new(ctx.dataset, options.run_key)
        words = f"{count(number, 'sample')} of {samples:,} would be removed; each is checked once more."
        return seals.run_state(runs.load(ctx.dataset, options.run_key)), words


class RestoreRemoved(
    StepOperator,
    step=restore,
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
        if home.name != ctx.dataset_name:
            yield ctx.ops.open_dataset(home.name)
        yield from super().finish(ctx, result)


class DeleteRun(PlannedOperator, step=delete_run, icon="delete_sweep", risk="medium", targets=False):
    """Take a run's fields, tags, saved views and record off; shows the plan first, and deletes no sample."""

    def plan(self, ctx, options: RunOptions) -> tuple[str, str]:
        """How many names the run wrote; the step's own plan, which is quick."""
        found = delete_run(ctx.dataset, DeleteRunOptions(run_key=options.run_key))
        fields, views = count(len(found.fields), "field"), count(len(found.views), "saved view")
        tags = count(len(found.tags), "tag")
        return found.plan, f"{fields}, {views} and {tags} would be deleted; samples and files stay."


class LoadAnnotations(
    PlannedOperator,
    step=load_annotations,
    icon="assignment_returned",
    risk="medium",
    targets=False,
    asks=("export_dir", "label_field", "labels_path", "overwrite"),
    opens_view=True,
):
    """Write the labels of an annotated export onto its samples, by its manifest; shows the plan first."""

    def plan(self, ctx, options: AnnotationsOptions) -> tuple[str, str]:
        """The step's own plan."""
        return plan_for_form(ctx.dataset, options)


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
)
