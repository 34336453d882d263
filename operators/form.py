"""The form of an options class, and the options of a form's parameters."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.labels as fol
import fiftyone.core.media as fom
import fiftyone.operators.types as types
from fiftyone.operators.constants import ViewTarget

from ..similarity.data import runs
from ..similarity.data import samples as sm
from ..similarity.data.batch import ORDERED, SINGLE
from ..similarity.data.labels import annotated_fields
from ..similarity.data.vectors import holds_others_vectors, vector_fields
from ..similarity.declare import AUTO, REQUIRED, Option, Options
from ..similarity.embed_options import EmbedOptions
from ..similarity.engine.sources import UnreadableImage, opened
from ..similarity.exports.targets import target
from ..similarity.options import LIMITS, ORDERS, RunOptions, WriteRunOptions
from ..similarity.result import count
from ..similarity.workflow import RECORDED, Step
from .rates import estimate
from .words import app_words

MORE = "more_options"
_OF_THE_FIELD = {"weights": "weights_source", "layer": "layer", "precision": "precision"}
_CONFIRMED = ("confirm", "plan")  # a form asks for both with one box, whose name is the plan's


def add_options(
    inputs: types.Object, options: type[Options], ctx, asks: Collection[str] | None = None
) -> None:
    """Add every option to a form; some of them only while "More options" is on.

    One whose default is not the field's is always shown: the App sends what a form shows.

    Args:
        asks (None): names of the options that are always shown; by default those that are not marked advanced
    """
    declared = [option for option in options.declared() if option.name not in _CONFIRMED]
    first = [
        option
        for option in declared
        if (option.name in asks if asks else not option.advanced) or _differs(option, ctx)
    ]
    rest = [option for option in declared if option not in first]
    for option in first:
        _add(inputs, option, ctx)
    if rest:
        inputs.bool(MORE, default=False, label="More options", view=types.SwitchView())
    if ctx.params.get(MORE):
        for option in rest:
            _add(inputs, option, ctx)


def add_target(
    inputs: types.Object, ctx, needs: Step | None, options: type[Options]
) -> fo.core.collections.SampleCollection:
    """Add FiftyOne's choice of dataset, view and selection, each with its number; return the chosen one.

    A selection is never the default.
    Where the grid shows the kept samples, as it does after the run, the default of the steps that need a run is the dataset.

    Args:
        needs: the step that must be done before
        options: the options of the step; of one that embeds, which takes most of the time, the number is added
    """
    whole = count(sm.exact_count(ctx.dataset), "sample")
    shown = count(len(ctx.view), "sample") if ctx.has_custom_view else whole
    grouped = ctx.dataset.media_type == fom.GROUP
    part = ctx.has_custom_view and not (needs in RECORDED and _shows_kept(ctx))
    default = ViewTarget.CURRENT_VIEW if part or grouped else ViewTarget.DATASET
    inputs.view_target(
        ctx,
        default_target=default,
        dataset_description=whole,
        current_view_description=shown,
        selected_samples_description=count(len(ctx.selected), "selected sample"),
    )
    untouched = default == ViewTarget.DATASET and "view_target" not in ctx.params
    samples = ctx.dataset if untouched else ctx.target_view()
    words = f"{count(len(samples), 'sample')} of {ctx.dataset.name!r}"
    if issubclass(options, EmbedOptions):
        words += _to_embed(samples, ctx.params)
    inputs.view("target_words", types.Notice(label=words))
    return samples


def _to_embed(samples: fo.core.collections.SampleCollection, params: Mapping[str, Any]) -> str:
    """Return how many samples are embedded, and how long it takes; nothing where the vectors are not OnlyOne's."""
    field = params.get("embeddings_field") or "vgg16"
    if holds_others_vectors(samples, field):
        return ""
    known = samples.has_field(field) and not params.get("recompute")
    new = samples.exists(field, False).count() if known else len(samples)
    return f", {new:,} of them to embed: {estimate(new)}" if new else ", all embedded"


def _shows_kept(ctx) -> bool:
    name = runs.Names(ctx.params.get("run_key") or RunOptions().run_key).view("kept")
    return ctx.dataset.has_saved_view(name) and ctx.view == ctx.dataset.load_saved_view(name)


def add_confirmation(inputs: types.Object, options: Options, plan: str, words: str) -> None:
    """Add a plan and the box that confirms this one: another plan has another box, which is not ticked."""
    label = next(option.label for option in options.declared() if option.name == "confirm")
    inputs.view("plan_words", types.Notice(label=app_words(words)))
    inputs.bool(f"{_box(options.run_key)}{plan}", default=False, label=label)


def read_options(options: type[Options], params: Mapping[str, Any]) -> Options:
    """Return the options of a form's parameters.

    Raises:
        OptionError: if a value lies outside its bounds
    """
    given = {name: params[name] for name in options.names() if params.get(name) is not None}
    read = options.of(given)
    if "confirm" not in given and "confirm" in options.names():
        box = _box(read.run_key)
        for plan in (name.removeprefix(box) for name, on in params.items() if name.startswith(box) and on):
            read = options.of(given | {"confirm": True, "plan": plan})
    return read


def check(samples: fo.core.collections.SampleCollection, options: Options, needs: Step | None) -> None:
    """Refuse paths, and samples of which none is in the run; all else is refused by the step's own check.

    Raises:
        ValueError: as the step would
    """
    if needs in RECORDED and samples.limit(1).values("id"):
        pictures, cluster = sm.flat(samples), runs.Names(options.run_key).cluster
        if pictures.has_sample_field(cluster) and not pictures.exists(cluster).limit(1).values("id"):
            raise ValueError(
                f"No sample here is in the run {options.run_key!r}: choose the dataset, or samples of the run"
            )
    for option in options.declared():
        value = getattr(options, option.name)
        if option.picks in _CHECKS and value is not None:
            _CHECKS[option.picks](value)


def is_complete(options: type[Options], params: Mapping[str, Any]) -> bool:
    """Return whether every required option is filled in; the App waits for that too."""
    return all(params.get(option.name) for option in options.declared() if option.default == REQUIRED)


def add_notes(inputs: types.Object, samples: fo.core.collections.SampleCollection, options: Options) -> None:
    """Add the number of cluster tags, and a warning of limits that the run was compared with and the form lacks."""
    if isinstance(options, WriteRunOptions):
        most = min(options.tag_clusters, sm.exact_count(samples) // 2)
        words = f"At most {count(most, 'cluster tag')}, of the largest clusters; Tag clusters sets the number"
        inputs.view("tags", types.Notice(label=words))
    if set(LIMITS) <= set(options.names()):
        _add_limits(inputs, sm.dataset_of(samples), options)


def _add_limits(inputs: types.Object, dataset: fo.Dataset, options: Options) -> None:
    earlier = runs.options(dataset, options.run_key)
    others = [
        f"{name.replace('_', ' ')} {earlier[name]!r}"
        for name in LIMITS
        if earlier.get(name) not in (None, getattr(options, name))
    ]
    if others:
        words = f"The run {options.run_key!r} was compared with {', '.join(others)}: without it, the result is another one"
        inputs.view("limits", types.Warning(label=words))


def add_problem(inputs: types.Object, words: str) -> None:
    """Add an error, which blocks the form."""
    words = app_words(words)
    problem = inputs.view("problem", types.Error(label=words))
    problem.invalid = True
    problem.error_message = words


def _box(run_key: str) -> str:
    """Return the prefix of the names of a run's boxes that confirm a plan; no run key has two underscores in a row."""
    return f"confirm__{run_key}__"


def _add(inputs: types.Object, option: Option, ctx) -> None:
    shown = {
        "label": option.label,
        "description": app_words(option.help),
        "required": option.default == REQUIRED,
    }
    default = _default(option, ctx)
    if default not in (None, REQUIRED):
        shown["default"] = default
    if option.picks == "annotated":
        shown["description"] += f"; by default: {', '.join(annotated_fields(ctx.dataset)) or 'none here'}"
    if option.choices:
        inputs.enum(option.name, option.choices, view=types.DropdownView(), **shown)
    elif option.kind is bool:
        inputs.bool(option.name, **shown)
    elif option.kind is int:
        inputs.int(option.name, min=option.minimum, max=option.maximum, **shown)
    elif option.kind is tuple:
        inputs.list(option.name, types.String(), view=_proposing(option, ctx), **shown)
    else:
        _add_text(inputs, option, shown, ctx)


def _differs(option: Option, ctx) -> bool:
    """Return whether the field's vectors need another value than the option's own default."""
    return option.name in _OF_THE_FIELD and option.default != AUTO and _default(option, ctx) != option.default


def _default(option: Option, ctx) -> Any:
    """Return the default; of weights, layer and precision that of the field's vectors."""
    field = ctx.params.get("embeddings_field") or "vgg16"
    value = sm.provenance(ctx.dataset, field).get(_OF_THE_FIELD.get(option.name), option.default)
    # bfloat16, the outcome of "auto", is no choice itself.
    return value if not option.choices or value in option.choices else option.default


def _add_text(inputs: types.Object, option: Option, shown: dict[str, Any], ctx) -> None:
    """Add a text, or a number beside the word auto; with proposals where the dataset has some."""
    value = ctx.params.get(option.name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        inputs.float(option.name, **{**shown, "default": value})  # a caller's number; a person types a text
        return
    # The App's text field shows the default, not the value that the form was opened with.
    if value or shown.get("default") is not None:
        shown["default"] = str(value or shown["default"])
    view = _proposing(option, ctx)
    inputs.str(option.name, view=view if view.choices else types.TextFieldView(), **shown)


def _proposing(option: Option, ctx) -> types.AutocompleteView:
    """Return a text field with the dataset's names as proposals; it takes other texts too."""
    view = types.AutocompleteView(allow_user_input=True)
    for value in _PROPOSALS.get(option.picks, lambda dataset: [])(ctx.dataset):
        view.add_choice(value, label=value)
    return view


def _brain_keys(dataset) -> list[str]:
    keys = dataset.list_brain_runs(type="similarity")
    return [key for key in keys if dataset.get_brain_info(key).config.method == "annoy"]


_PROPOSALS: dict[str | None, Callable[[Any], list[str]]] = {
    "weights": lambda dataset: ["imagenet", "untrained"],
    "vectors": vector_fields,
    "run": runs.keys,
    "brain": _brain_keys,
    "numbers": lambda dataset: [*ORDERS, *dataset.get_field_schema(ftype=ORDERED)],
    "reference": lambda dataset: [
        *dataset.list_saved_views(),
        *dataset.get_field_schema(ftype=fof.BooleanField),
    ],
    "fields": lambda dataset: list(dataset.get_field_schema(ftype=SINGLE)),
    "order": lambda dataset: list(dataset.get_field_schema(ftype=ORDERED)),
    "labels": lambda dataset: list(dataset.get_field_schema(embedded_doc_type=fol.Label)),
}


def _existing(path: str) -> None:
    if not Path(path).expanduser().exists():
        raise ValueError(f"There is no file or folder {path!r}")


def _open_picture(path: str) -> None:
    try:
        with opened(path):
            pass
    except (OSError, UnreadableImage) as error:
        raise ValueError(f"The picture {path!r} cannot be opened: {error}") from error


_CHECKS: dict[str | None, Callable[[str], Any]] = {
    "folder": target,
    "path": _existing,
    "picture": _open_picture,
}
