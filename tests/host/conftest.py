"""The fixtures of every test here are in tests/fixtures.py and tests/deduplicated.py."""

from tests.fixtures import *  # noqa: F403

from tests.deduplicated import deduplicated, target, template  # noqa: F401  isort: skip
