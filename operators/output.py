"""A result as the App's output: a text, then tables."""

from typing import Any

import fiftyone.operators.types as types

from ..similarity.declare import title
from ..similarity.result import NeedsOperator, Result
from .progress import Running
from .words import app_words, uri

CANCELLED = "Cancelled; what was done before stays."


def values(result: Result) -> dict[str, Any]:
    """Return the result as plain values, small enough for a run's record: summary, numbers and tables."""
    return {"summary": markdown(result.summary()), **result.numbers(), "tables": result.tables()}


def schema(shown: dict[str, Any] | None) -> types.Property:
    """Return the output's schema for values made by :func:`values`."""
    outputs = types.Object()
    if not shown:
        return types.Property(outputs)
    outputs.str("summary", view=types.MarkdownView())
    tables = types.Object()
    for name, rows in shown.get("tables", {}).items():
        if not rows:
            continue
        table, row = types.TableView(), types.Object()
        for column in rows[0]:
            table.add_column(column, label=column)
            row.str(column)
        tables.list(name, row, view=table, label=title(name))
    outputs.define_property("tables", tables)
    return types.Property(outputs)


def progress(running: Running) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return schema and values that show how far a step is, with a button that cancels it."""
    outputs = types.Object()
    outputs.float("progress", view=types.ProgressView(label=running.words))
    cancel = types.Button(label="Cancel", operator=uri("cancel_step"), params={"id": running.id})
    outputs.view("cancel", cancel)
    return types.Property(outputs).to_json(), {"progress": running.share or 0.0}


def cancelled() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return schema and values that show that a step was cancelled."""
    outputs = types.Object()
    outputs.view("cancelled", types.Notice(label=CANCELLED))
    return types.Property(outputs).to_json(), {}


def failure(
    error: Exception, words: str, begun: bool, operator: str, params: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return schema and values of an error's output, with a button back to the filled form.

    Args:
        words: the error as people read it
        begun: whether the step had begun to work
        operator: the operator's full name
        params: of the form
    """
    outputs = types.Object()
    label = "Stopped; what was saved before stays" if begun else "Nothing was done"
    outputs.view("problem", types.Error(label=label, description=app_words(words)))
    if isinstance(error, NeedsOperator):
        add_button(outputs, error.operator, error.options)
    back = types.Button(label="Back to the form", operator=operator, params=params, prompt=True)
    outputs.view("back", back)
    return types.Property(outputs).to_json(), {}


def add_button(outputs: types.Object, operator: str, params: dict[str, Any]) -> None:
    """Add a button that opens the form of another operator of this plugin."""
    button = types.Button(label=title(operator), operator=uri(operator), params=params, prompt=True)
    outputs.view(operator, button)


def markdown(text: str) -> str:
    """Return a message with the App's labels, in Markdown that keeps its lines."""
    lines = app_words(text).splitlines()
    return "\n".join(line + "  " if line and not line.startswith("-") else line for line in lines)
