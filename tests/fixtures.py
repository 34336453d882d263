"""Fixtures of the tests that need a real FiftyOne, in a database and folders of their own."""

import uuid
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import support  # before fiftyone: it sets the environment FiftyOne reads on import

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip


@pytest.fixture(scope="session", autouse=True)
def the_plugin_loads():
    foo.list_operators()
    errors = foo.OperatorRegistry().list_errors()
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="session", autouse=True)
def a_small_network(the_plugin_loads):
    """The network takes two pictures at a time: it fills up every batch, and most tests embed one to four.

    The untrained convolutions, which take seconds to make, are made once.
    """
    untrained = support.plugin("similarity.engine.untrained")
    generate, convolutions = untrained.generate, cache(untrained.generate)
    with pytest.MonkeyPatch.context() as changed:
        changed.setitem(support.plugin("similarity.engine.vgg16").load.__kwdefaults__, "batch_size", 2)
        changed.setattr(untrained, "generate", lambda dense=0: generate(dense) if dense else convolutions())
        yield


@pytest.fixture(scope="session")
def plugin():
    """``plugin("similarity.data.runs")``: a module of the plugin under its real name."""
    return support.plugin


@pytest.fixture(scope="session")
def run():
    """``run("cluster_duplicates", dataset_or_view, eps=0.1)``: execute an operator, as the App does."""
    return support.run


@pytest.fixture
def pictures(tmp_path):
    """``pictures(scenes=3, each=2)``: paths of generated pictures, scene by scene, jittered in brightness."""

    def make(
        scenes: int = 3, each: int = 2, size: int = 64, suffix: str = ".png", seed: int = 51
    ) -> list[Path]:
        rng = np.random.default_rng(seed)
        folder = tmp_path / f"pictures-{uuid.uuid4().hex[:6]}"
        folder.mkdir()
        paths = []
        for scene in range(scenes):
            coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            picture = np.asarray(
                Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), float
            )
            for copy in range(each):
                jittered = np.clip(picture * rng.uniform(0.95, 1.05), 0, 255).astype(np.uint8)
                paths.append(folder / f"scene{scene:02d}-{copy:02d}{suffix}")
                Image.fromarray(jittered).save(paths[-1])
        return paths

    return make


@pytest.fixture
def dataset():
    """``dataset(paths, field=values)``: a dataset of one sample a path, deleted after the test."""
    names = []

    def make(paths=(), **fields) -> fo.Dataset:
        made = fo.Dataset(f"test-{uuid.uuid4().hex[:10]}")
        names.append(made.name)
        made.add_samples([fo.Sample(filepath=str(path)) for path in paths])
        for field, values in fields.items():
            made.set_values(field, list(values))
        return made

    yield make
    for name in names:
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


@pytest.fixture
def vector_dataset(dataset, tmp_path):
    """``vector_dataset(vectors)``: samples with given vectors, None for none, and no files behind them."""

    def make(vectors, field: str = "vgg16") -> fo.Dataset:
        vectors = [None if vector is None else np.asarray(vector) for vector in vectors]
        made = dataset([tmp_path / f"{i:06d}.png" for i in range(len(vectors))])
        made.add_sample_field(field, fo.VectorField)
        made.set_values(field, vectors)
        return made

    return make
