"""The search from the grid: for the selected samples, or for a picture of one's own."""

import base64
from collections.abc import Iterator
from typing import Any

import fiftyone.operators.types as types

from ..similarity.data import samples as sm
from ..similarity.data.saved_views import searched
from ..similarity.result import count
from ..similarity.search_options import SortOptions
from ..similarity.steps import sort
from .base import StepOperator
from .request import in_app

UPLOAD = "upload"
INDEXED_A_SECOND = 2_000  # vectors of 512 values, on two cores: docs/benchmarks.md


class SortBySimilarity(
    StepOperator,
    step=sort.sort,
    check=sort.check,
    icon="image_search",
    targets=False,
    selects=True,
    opens_view=True,
    in_passing=True,
    button="Sort by similarity to the selected samples (OnlyOne)",
    button_asks=False,
):
    """Sort the grid by similarity to the selected samples, or to a picture that is not in the dataset."""

    def add_inputs(self, inputs: types.Object, ctx) -> None:
        """Say how many samples are searched for, and that the index is built first; take an uploaded picture."""
        if ctx.selected:
            words = f"Searching for {count(len(ctx.selected), 'selected sample')}"
            inputs.view("query", types.Notice(label=words))
        if not self._has_index(ctx):
            seconds = count(max(1, round(sm.exact_count(ctx.dataset) / INDEXED_A_SECOND)), "second")
            words = f"There is no index yet: it is built first, in about {seconds}, once for all searches"
            inputs.view("builds", types.Notice(label=words))
        inputs.uploaded_file(UPLOAD, view=types.FileView(label="Upload a picture to search for"), lite=True)

    def _has_index(self, ctx) -> bool:
        return ctx.dataset.has_brain_run(ctx.params.get("brain_key") or SortOptions().brain_key)

    def execute(self, ctx) -> Any:
        """Search; if the button was pressed without a selection or an index, open the form."""
        pressed = not ctx.params and in_app()
        ready = ctx.selected and self._has_index(ctx)
        return self._ask(ctx) if pressed and not ready else super().execute(ctx)

    def _ask(self, ctx) -> Iterator[Any]:
        yield ctx.prompt(self.uri)

    def samples(self, ctx) -> Any:
        """Return the current view; if it is the result of a search, the samples that were searched."""
        return searched(super().samples(ctx))

    def show_in_grid(self, ctx, result: sort.SortResult) -> Iterator[Any]:
        """Show the percentages, on the pictures."""
        yield ctx.ops.set_active_fields(list(dict.fromkeys([*ctx.active_fields, result.similarity_field])))

    def arguments(self, ctx) -> dict[str, Any]:
        """Return the selected samples, and the uploaded picture's bytes."""
        upload = ctx.params.get(UPLOAD)
        content = upload.get("content") if isinstance(upload, dict) else upload
        return {**super().arguments(ctx), "content": base64.b64decode(content) if content else None}
