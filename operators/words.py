"""Python's names in a message, as the App's labels."""

import re

from ..similarity.declare import title

LABELS: dict[str, str] = {}
"""Operator name -> its label; every operator enters its own."""

_SWITCH = re.compile(r"\b([a-z_]+)=(True|False)\b")
_NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


def uri(operator: str) -> str:
    """Return the full name of one of this plugin's operators."""
    return f"@onlyone/dedup/{operator}"


def app_words(text: str) -> str:
    """Return a message with the labels of operators and switches in the place of their names in Python."""
    text = text.replace(" (confirm=True)", "")
    text = _SWITCH.sub(lambda found: f'"{title(found[1])}" {"on" if found[2] == "True" else "off"}', text)
    text = re.sub(r"\beps\b(?!=)", "the threshold", text)
    return _NAME.sub(lambda found: LABELS.get(found[0], found[0]), text)
