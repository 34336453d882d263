"""An options class to a FiftyOne form, and a form's parameters back to options."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import fiftyone.core.fields as fof
import fiftyone.core.labels as fol
import fiftyone.operators.types as types

from ..similarity.data import runs
from ..similarity.data.vectors import vector_fields
from ..similarity.declare import REQUIRED, Option, OptionError, Options
from ..similarity.options import MEDOID, PIXELS, VIEW_ORDER

MORE = "more_options"


def add_options(
    inputs: types.Object, options: type[Options], ctx, asks: Collection[str] | None = None
) -> None:
    """Add every option to a form; some of them only when "more options" is on.

    Args:
        asks (None): names of the options to show at once; by default those that are not marked advanced
    """
    declared = list(options.declared())
    first = [o for o in declared if (o.name in asks if asks is not None else not o.spec.advanced)]
    rest = [option for option in declared if option not in first]
    for option in first:
        _add(inputs, option, ctx)
    if rest:
        inputs.bool(MORE, default=False, label="More options", view=types.SwitchView())
    if ctx.params.get(MORE):
        for option in rest:
            _add(inputs, option, ctx)


def read_options(options: type[Options], params: Mapping[str, Any]) -> Options:
    """The options that a form's parameters give.

    Raises:
        OptionError: if a value lies outside its bounds
    """
    return options.of({name: params[name] for name in options.names() if params.get(name) is not None})


def add_problem(inputs: types.Object, options: type[Options], params: Mapping[str, Any]) -> None:
    """Show what is wrong with the parameters, if anything, and block the form.

    Nothing is wrong yet where a required one is not filled in: the App itself waits for it.
    """
    if any(option.default == REQUIRED and not params.get(option.name) for option in options.declared()):
        return
    try:
        read_options(options, params)
    except OptionError as error:
        problem = inputs.view("problem", types.Error(label=str(error)))
        problem.invalid = True
        problem.error_message = str(error)


def _add(inputs: types.Object, option: Option, ctx) -> None:
    shown = {"label": option.label, "description": option.spec.help, "required": option.default == REQUIRED}
    if option.default not in (None, REQUIRED):
        shown["default"] = option.default
    if option.spec.choices:
        inputs.enum(option.name, option.spec.choices, view=types.DropdownView(), **shown)
    elif option.kind is bool:
        inputs.bool(option.name, **shown)
    elif option.kind is int:
        inputs.int(option.name, min=option.spec.minimum, max=option.spec.maximum, **shown)
    elif option.kind is tuple:
        _add_texts(inputs, option, shown, ctx)
    else:
        _add_text(inputs, option, shown, ctx)


def _add_text(inputs: types.Object, option: Option, shown: dict[str, Any], ctx) -> None:
    """A text, or a number beside the word auto; with proposals where the dataset has some."""
    value = ctx.params.get(option.name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        inputs.float(option.name, **{**shown, "default": value})  # a caller's number; a person types a text
        return
    # The App's text field shows the default, not the value that the form was opened with.
    if value or shown.get("default") is not None:
        shown["default"] = str(value or shown["default"])
    propose = _PROPOSALS.get(option.spec.picks)
    proposals = propose(ctx.dataset) if propose else []
    if not proposals:
        inputs.str(option.name, view=types.LazyFieldView(), **shown)
        return
    view = types.AutocompleteView(allow_user_input=True)
    for value in proposals:
        view.add_choice(value, label=value)
    inputs.str(option.name, view=view, **shown)


def _add_texts(inputs: types.Object, option: Option, shown: dict[str, Any], ctx) -> None:
    propose = _PROPOSALS.get(option.spec.picks)
    view = types.AutocompleteView(allow_user_input=True)
    for value in propose(ctx.dataset) if propose else []:
        view.add_choice(value, label=value)
    inputs.list(option.name, types.String(), view=view, **shown)


def _numbers(dataset) -> list[str]:
    numeric = (fof.IntField, fof.FloatField, fof.DateField, fof.DateTimeField)
    fields = [name for name, field in dataset.get_field_schema().items() if isinstance(field, numeric)]
    return [VIEW_ORDER, MEDOID, PIXELS, *fields]


def _brain_keys(dataset) -> list[str]:
    return [
        key
        for key in dataset.list_brain_runs(type="similarity")
        if dataset.get_brain_info(key).config.method == "annoy"
    ]


def _label_fields(dataset) -> list[str]:
    return list(dataset.get_field_schema(embedded_doc_type=fol.Label))


_PROPOSALS: dict[str, Callable[[Any], list[str]]] = {
    "weights": lambda dataset: ["imagenet", "untrained"],
    "vectors": vector_fields,
    "run": runs.keys,
    "brain": _brain_keys,
    "numbers": _numbers,
    "labels": _label_fields,
}
