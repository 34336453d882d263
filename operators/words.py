"""Python's names in a message, as the App's labels."""

import re

from ..similarity.declare import Options, title

LABELS: dict[str, str] = {}
"""Name of an operator, or of an option of several words, in Python -> its label in the App."""

_SWITCH = re.compile(r"\b([a-z_]+)=(True|False)\b")
# Not within a path or a quoted value, where they are a person's.
_NAME = re.compile(r"(?<![\w/\\.'\"-])[a-z]+(?:_[a-z]+)+(?![\w/\\'\"-]|\.\w)")
_EPS = re.compile(r"(?<![\w/\\.'\"-])eps(?![\w/\\'\"=-]|\.\w)")


def enter(operator: str, label: str, options: type[Options]) -> None:
    """Enter the labels of an operator and its options."""
    LABELS.update({option.name: f'"{option.label}"' for option in options.declared()})
    LABELS[operator] = label


def uri(operator: str) -> str:
    """Return the full name of one of this plugin's operators."""
    return f"@onlyone/dedup/{operator}"


def app_words(text: str) -> str:
    """Return a message with the labels of operators, options and switches in the place of their names in Python."""
    text = text.replace(" (confirm=True)", "")
    text = _SWITCH.sub(lambda found: f'"{title(found[1])}" {"on" if found[2] == "True" else "off"}', text)
    text = _EPS.sub("the threshold", text)
    return _NAME.sub(lambda found: LABELS.get(found[0], found[0]), text)
