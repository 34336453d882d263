"""Operators that find similar pictures."""

import base64
from collections.abc import Iterator
from typing import Any

import fiftyone.operators.types as types

from ..similarity.options import CompareOptions, IndexOptions, SortOptions
from ..similarity.steps.compare import compare
from ..similarity.steps.index import index
from ..similarity.steps.sort import SortResult, searched, sort
from .base import StepOperator, in_app

UPLOAD = "upload"


class BuildSimilarityIndex(StepOperator):
    """An Annoy index that the App's own similarity search uses."""

    name = "build_similarity_index"
    label = "Build similarity index"
    icon = "account_tree"
    options = IndexOptions
    step = staticmethod(index)
    targets = False  # it covers the dataset, whatever the view


class SortBySimilarity(StepOperator):
    """Sort the grid by similarity to the selected samples, or to a picture that is not in the dataset."""

    name = "sort_by_similarity"
    label = "Sort by similarity"
    icon = "image_search"
    options = SortOptions
    step = staticmethod(sort)
    targets = False
    selects = True
    opens_view = True
    in_passing = True
    button = "Sort by similarity to the selected samples (OnlyOne)"
    button_asks = False

    def add_to_form(self, inputs: types.Object, ctx) -> None:
        """Say what is searched for, and take an uploaded picture."""
        if ctx.selected:
            inputs.view("query", types.Notice(label=f"Searching for {len(ctx.selected)} selected sample(s)"))
        else:
            inputs.view("query", types.Notice(label="No sample is selected: give a picture to search for"))
        inputs.uploaded_file(UPLOAD, view=types.FileView(label="Upload a picture to search for"), lite=True)

    def execute(self, ctx) -> Any:
        """Search; where the button was pressed with nothing selected, open the form."""
        pressed = not ctx.params and in_app()
        return self._ask(ctx) if pressed and not ctx.selected else super().execute(ctx)

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


class CompareSamples(StepOperator):
    """The similarity, in percent, of the selected samples, pair by pair."""

    name = "compare_samples"
    label = "Compare samples"
    icon = "compare"
    options = CompareOptions
    step = staticmethod(compare)
    targets = False
    selects = True
