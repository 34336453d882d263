"""The fixtures of every test here are in tests/fixtures.py."""

from tests.fixtures import *  # noqa: F403
