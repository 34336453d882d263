"""Declaration and checking of options: a frozen dataclass whose fields have help and bounds."""

import dataclasses
import math
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

AUTO = "auto"
LARGEST = 2**53  # up to which a float, as the App sends it, is the whole number that was meant
REQUIRED = ""  # the default of an option that has none


class OptionError(ValueError):
    """An option has a value outside its bounds; the message names option, value, bound and fix."""


@dataclass(frozen=True)
class Option:
    """One option.

    Args:
        default: its default; None where it may be empty
        help: its meaning, with its unit, as forms and the README show it
        name (""), kind (str): its name, and ``bool``, ``int``, ``float``, ``str`` or ``tuple`` (a list of texts): filled
            in from the dataclass's field
        label (""): its name in forms; by default its name with spaces
        minimum (None): smallest allowed number
        above (None): the number must be larger than this
        maximum (None): largest allowed number
        choices (None): the only values allowed
        pattern (None): a regular expression that a text must match in full
        pattern_help (None): the same in words
        auto (False): whether the word "auto" is allowed beside a number
        picks (None): the choices in forms for free text: ``"vectors"``, ``"numbers"``, ``"labels"``, ``"brain"``,
            ``"run"``, ``"reference"``, ``"fields"``, ``"order"``, ``"folder"`` (a new one), ``"place"`` (any),
            ``"path"`` (to read), ``"picture"``, ``"weights"`` or ``"tags"``; ``"annotated"`` adds the label fields
            without confidence to the help
        advanced (False): whether forms show it under "more options"
    """

    default: Any
    help: str
    name: str = ""
    kind: type = str
    label: str = ""
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    pattern: str | None = None
    pattern_help: str | None = None
    auto: bool = False
    picks: str | None = None
    advanced: bool = False


def option(default: Any, help: str, **more: Any) -> Any:
    """Declare one option as a dataclass field; see :class:`Option`."""
    return dataclasses.field(default=default, metadata={"option": Option(default, help, **more)})


def confirmation(help: str, label: str, **more: Any) -> Any:
    """Declare the option that has a shown plan carried out."""
    return option(False, help, label=label, **more)


def plan_name(shown: str) -> Any:
    """Declare the option with the name of a shown plan, which is carried out only as it was shown."""
    return option(None, f"Name of {shown}", advanced=True)


def title(name: str) -> str:
    """Return a name of the code in words."""
    return name.replace("_", " ").capitalize()


def plain(value: Any) -> Any:
    """Return a path, a class or a NumPy number of a Python caller as the text or number that an option takes."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, type):
        return value.__name__
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of every step's options: coerces and checks each field when made.

    Raises:
        OptionError: if a value has the wrong type or lies outside its bounds
    """

    def __post_init__(self) -> None:
        for declared in self.declared():
            value = _checked(declared, plain(getattr(self, declared.name)))
            object.__setattr__(self, declared.name, value)

    @classmethod
    def declared(cls) -> Iterator[Option]:
        """Yield every option in the order of declaration."""
        for field in dataclasses.fields(cls):
            found = field.metadata["option"]
            label = found.label or title(field.name)
            yield dataclasses.replace(found, name=field.name, kind=_kind(field.type), label=label)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all options."""
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """Return the options in ``params``; missing ones have their defaults.

        Raises:
            OptionError: if a name is not one of this step's options
        """
        unknown = sorted(set(params) - set(cls.names()))
        if unknown:
            raise OptionError(f"unknown option {unknown[0]!r}; the options are {', '.join(cls.names())}")
        return cls(**params)

    def pick(self, other: type["Options"]) -> Any:
        """Return the options of ``other`` with the values that this object has for them."""
        shared = set(other.names()) & set(self.names())
        return other(**{name: getattr(self, name) for name in shared})

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    def recorded(self) -> dict[str, Any]:
        """Return the options as the record of a run holds them."""
        return self.to_dict()


def _kind(annotation: Any) -> type:
    """Return the first type of a union; of ``tuple[str, ...]``, the ``tuple``."""
    if isinstance(annotation, types.UnionType):
        annotation = annotation.__args__[0]
    return typing.get_origin(annotation) or annotation


def _checked(option: Option, value: Any) -> Any:
    if value is None or (isinstance(value, str | tuple | list) and not value):
        if option.default is None:
            return None
        fix = "give one" if option.default == REQUIRED else f"its default is {option.default!r}"
        raise OptionError(f"{option.name} must not be empty: {fix} ({option.help})")
    if option.auto and isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    value = _COERCE[option.kind](option, value)
    bounds = {
        "one of " + ", ".join(option.choices or ()): option.choices is None or value in option.choices,
        str(option.pattern_help): option.pattern is None or re.fullmatch(option.pattern, value),
        f"at least {option.minimum}": option.minimum is None or value >= option.minimum,
        f"greater than {option.above}": option.above is None or value > option.above,
        f"at most {option.maximum}": option.maximum is None or value <= option.maximum,
    }
    for bound, holds in bounds.items():
        if not holds:
            raise OptionError(f"{option.name} must be {bound}; got {value!r}")
    return value


def _to_bool(option: Option, value: Any) -> bool:
    if not isinstance(value, bool):
        raise OptionError(f"{option.name} must be True or False, got {value!r}")
    return value


def _to_number(option: Option, value: Any) -> float:
    try:
        number = float("" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        words = "a number" + (' or "auto"' if option.auto else "")
        raise OptionError(f"{option.name} must be {words}, got {value!r}") from None
    if not math.isfinite(number):
        raise OptionError(f"{option.name} must be finite, got {value!r}")
    return number


def _to_int(option: Option, value: Any) -> int:
    number = _to_number(option, value)
    if number != int(number) or abs(number) > LARGEST:
        raise OptionError(f"{option.name} must be a whole number of at most {LARGEST:,}, got {value!r}")
    return int(number)


def _to_text(option: Option, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and option.pattern is not None:
        value = str(value)  # a number where a text like "200" or "10 %" is expected
    if not isinstance(value, str) or not value.strip():
        raise OptionError(f"{option.name} must be a text, got {value!r}")
    return value.strip()


def _to_texts(option: Option, value: Any) -> tuple[str, ...]:
    texts = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(_to_text(option, text) for text in texts)
    except TypeError:
        raise OptionError(f"{option.name} must be a list of texts, got {value!r}") from None


_COERCE = {bool: _to_bool, int: _to_int, float: _to_number, str: _to_text, tuple: _to_texts}
