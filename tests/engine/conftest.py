"""What the tests of the engine share: the untrained convolutions, which take seconds to make, are made once."""

from functools import cache

import pytest

from similarity.engine import untrained


@pytest.fixture(scope="session", autouse=True)
def convolutions_made_once():
    generate, convolutions = untrained.generate, cache(untrained.generate)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(untrained, "generate", lambda dense=0: generate(dense) if dense else convolutions())
        yield
