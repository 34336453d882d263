"""The results of steps: frozen dataclasses of plain Python values, with a summary in words."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jinja2.filters import do_filesizeformat

Skipped = dict[str, str]  # sample id -> reason
_LISTED, _REASONS = 20, 5


class NeedsOperator(ValueError):
    """The request needs one of OnlyOne's operators first.

    Args:
        message: the missing part, and the operator to run
        operator: the operator's name
        options: the values that its form is filled with
    """

    def __init__(self, message: str, operator: str, **options: Any):
        super().__init__(message)
        self.operator = operator
        self.options = options


def view_field() -> Any:
    """Declare the field of a result that holds a view; ``to_dict()`` leaves it out."""
    return dataclasses.field(default=None, repr=False, compare=False, metadata={"view": True})


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of every step's result."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values, without views."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if not field.metadata.get("view")
        }

    def summary(self) -> str:
        """Return the result in words."""
        raise NotImplementedError

    def numbers(self) -> dict[str, Any]:
        """Return the result's single values, without its long lists."""
        return {name: value for name, value in self.to_dict().items() if not isinstance(value, list | dict)}

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return short tables for people: ``{title: rows}``, each row ``{column: text}``."""
        return {}

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True, kw_only=True)
class SkippingResult(Result):
    """Base of the results of steps that skip samples which they cannot use.

    Attributes:
        skipped: sample id -> reason
        files: sample id -> its file's name, of the first of these
    """

    thing: ClassVar[str] = "sample"

    skipped: Skipped
    files: dict[str, str]

    def lines(self) -> list[str]:
        """Return the result in words, without the skipped samples."""
        raise NotImplementedError

    def summary(self) -> str:
        """Return the result in words."""
        return "\n".join([*self.lines(), *skipped_words("Skipped:", self.skipped, self.thing)])

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the table of the skipped samples."""
        return skipped_table(self.skipped, self.files)


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def count(number: int, thing: str, things: str | None = None) -> str:
    """Return a number with its noun: "1 sample", "1,200 samples"."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def percent(part: int, whole: int) -> str:
    """Return a share as text: "5.6 %"."""
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def size(number: int) -> str:
    """Return a number of bytes as text: "1.2 MB"."""
    return do_filesizeformat(number)


def resemblance(resembling: int, reference: int) -> str:
    """Return the number of new samples that resemble the reference: "30 resemble one of 12 reference samples"."""
    return f"{resembling:,} {'resembles' if resembling == 1 else 'resemble'} one of {count(reference, 'reference sample')}"


def listed(skipped: Skipped) -> list[str]:
    """Return the ids of the skipped samples that a table lists."""
    return list(skipped)[:_LISTED]


def skipped_table(
    skipped: Skipped, files: Mapping[str, str], title: str = "skipped"
) -> dict[str, list[dict[str, str]]]:
    """Return the table of the skipped samples by file, or by id where a sample is gone; empty without skipped samples."""
    rows = [{"file": files.get(i, i), "reason": skipped[i]} for i in listed(skipped)]
    return {title: rows} if rows else {}


def skipped_words(title: str, skipped: Skipped, thing: str = "sample") -> list[str]:
    """Return a paragraph of the reasons why samples, or other things, were skipped; empty without skipped ones."""
    return ["", title, *skipped_lines(skipped, thing=thing)] if skipped else []


def skipped_lines(skipped: Skipped, thing: str = "sample") -> list[str]:
    """Return why samples, or other things, were skipped, the most common reasons first."""
    ordered = Counter(skipped.values()).most_common()
    lines = [f"- {count(number, thing)}: {reason}" for reason, number in ordered[:_REASONS]]
    rest = len(ordered) - _REASONS
    return [*lines, f"- and {count(rest, 'more reason')}"] if rest > 0 else lines
