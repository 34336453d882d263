"""The fixtures of every test here are in tests/fixtures.py, tests/deduplicated.py and tests/removable.py."""

import pytest

from tests import mortal
from tests.fixtures import *  # noqa: F403

from tests.deduplicated import deduplicated, target, template  # noqa: F401  isort: skip
from tests.removable import precious, removable  # noqa: F401  isort: skip


@pytest.fixture(scope="session")
def mortals():
    """A process that has FiftyOne loaded and forks those that may be killed."""
    running = mortal.Mortals()
    yield running
    running.close()
