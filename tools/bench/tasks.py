"""What is measured of OnlyOne, and of FiftyOne and scikit-learn in the same environment."""

import importlib
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from tools.bench import data
from tools.bench.measure import serve

WARM_UP = 16  # pictures before the clock starts


def embed_bare(n: int, precision: str) -> dict[str, float]:
    """Measure the model alone, on ready arrays."""
    from similarity.engine import vgg16

    model = vgg16.load(weights="untrained", precision=precision)
    images = np.random.default_rng(51).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)
    model.embed(images[:WARM_UP])
    started = time.perf_counter()
    model.embed(images)
    return _rate(n, started)


def embed_files(
    n: int, precision: str, megapixels: float | None, folder: str, distinct: int | None = None
) -> dict[str, float]:
    """Measure embedding from files to field, by the operator's step; of ``n`` files, ``distinct`` if that is named."""
    paths = data.pictures(Path(folder), distinct or n, megapixels)
    if distinct is not None:
        paths = _copies(paths, n, Path(folder) / "copies")
    made, plugin = dataset(paths)
    vgg16 = plugin("similarity.engine.vgg16")
    model = vgg16.load(weights="untrained", precision=precision)
    model.embed(np.zeros((WARM_UP, 224, 224, 3), np.uint8))
    embed, options = plugin("similarity.steps.embed").embed, plugin("similarity.options").EmbedOptions
    started = time.perf_counter()
    embed(made, options(weights="untrained", precision=precision))
    return _rate(len(paths), started)


def _copies(paths: list[str], n: int, folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    made = [folder / f"{number:06d}.jpg" for number in range(n)]
    for number, path in enumerate(made):
        if not path.exists():
            shutil.copyfile(paths[number % len(paths)], path)
    return [str(path) for path in made]


def embed_fiftyone(n: int, megapixels: float | None, folder: str, predict: bool) -> dict[str, float]:
    """Measure FiftyOne's own ``compute_embeddings`` with a plain Keras VGG16: float32, batches of 16.

    Args:
        predict: whether the model is asked by ``predict``, or called, which is quicker
    """
    made, _ = dataset(data.pictures(Path(folder), n, megapixels))
    model = _plain_keras_model(predict)
    made.limit(WARM_UP).compute_embeddings(model, batch_size=16)
    started = time.perf_counter()
    made.compute_embeddings(model, embeddings_field="plain", batch_size=16)
    return _rate(len(made), started)


def decode(n: int, megapixels: float, folder: str) -> dict[str, float]:
    """Measure decoding alone, on one core."""
    from similarity.engine import images

    paths = data.pictures(Path(folder), n, megapixels)
    started = time.perf_counter()
    for path in paths:
        images.read(path)
    return _rate(n, started)


def bfloat16_effect(n: int, megapixels: float | None, folder: str) -> dict[str, float]:
    """Measure the largest change of a pairwise similarity, in percentage points, that bfloat16 makes."""
    from similarity.engine import images, vgg16
    from similarity.engine.vectors import normalise

    read = [images.read(path) for path in data.pictures(Path(folder), n, megapixels)]
    pictures = np.stack([picture.pixels for picture in read if picture.pixels is not None])
    exact, quick = (
        normalise(vgg16.load(weights="untrained", precision=precision).embed(pictures)).astype(np.float64)
        for precision in ("float32", "auto")
    )
    return {"percentage_points": float(100 * np.abs(exact @ exact.T - quick @ quick.T).max())}


def cluster_ours(n: int, dense: int = 0, eps: float = data.EPS, min_samples: int = 2) -> dict[str, float]:
    """Measure DBSCAN labels by OnlyOne."""
    from similarity.engine.clusters import dbscan

    vectors = data.vectors(n, dense)
    started = time.perf_counter()
    labels = dbscan(vectors, eps=eps, min_samples=min_samples)
    return {
        "seconds": time.perf_counter() - started,
        "clusters": int(labels.max()) + 1,
        "noise": int((labels < 0).sum()),
    }


def limited(n: int, groups: int = 1, reference: int = 0) -> dict[str, float]:
    """Measure DBSCAN labels where only vectors of one group are compared, and none of the reference with each other."""
    from similarity.engine import neighbors
    from similarity.engine.clusters import dbscan
    from similarity.engine.constraints import Constraints

    vectors, pairs, candidates = data.vectors(n), 0, neighbors._candidates

    def counted(left, rows, right, cols, *more):
        nonlocal pairs
        some, others = rows.stop - rows.start, cols.stop - cols.start
        pairs += some * (some - 1) // 2 if (left, rows) == (right, cols) else some * others
        return candidates(left, rows, right, cols, *more)

    neighbors._candidates = counted
    number, none = np.random.default_rng(51).integers(0, groups, n), np.zeros(n)
    started = time.perf_counter()
    labels = dbscan(vectors, eps=data.EPS, constraints=Constraints(number, none, np.arange(n) < reference))
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "pairs": pairs / 1e6, "clusters": int(labels.max()) + 1}


def cluster_sklearn(n: int, dense: int = 0) -> dict[str, float]:
    """Measure DBSCAN labels by scikit-learn, on raw vectors."""
    from sklearn.cluster import DBSCAN

    vectors = data.vectors(n, dense)
    started = time.perf_counter()
    labels = DBSCAN(eps=data.EPS, min_samples=2, metric="cosine", n_jobs=-1).fit(vectors).labels_
    return {
        "seconds": time.perf_counter() - started,
        "clusters": int(labels.max()) + 1,
        "noise": int((labels < 0).sum()),
    }


def sweep(n: int) -> dict[str, float]:
    """Measure the sweep over every eps."""
    from similarity.engine.sweep import sweep as swept

    vectors = data.vectors(n)
    started = time.perf_counter()
    swept(vectors)
    return {"seconds": time.perf_counter() - started}


def keepers(n: int, dense: int, cover: bool) -> dict[str, float]:
    """Measure keeping, and the certificate."""
    from similarity.engine.certificate import certify
    from similarity.engine.clusters import dbscan
    from similarity.engine.keepers import keep

    vectors = data.vectors(n, dense)
    labels = dbscan(vectors, eps=data.EPS)
    started = time.perf_counter()
    found = keep(vectors, labels, eps=data.EPS, cover=cover)
    certify(labels, found, eps=data.EPS)
    return {"seconds": time.perf_counter() - started, "kept": int(found.kept.sum())}


def index(n: int) -> dict[str, float]:
    """Build and load the Annoy forest."""
    from similarity.engine import forest

    vectors = data.vectors(n)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        built = forest.build(vectors, Path(folder))
        building = time.perf_counter() - started
        started = time.perf_counter()
        loaded = forest.load(Path(folder), built.facts)
        loaded.query(vectors[0], 25)
        loading = time.perf_counter() - started
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return {"seconds": building, "load_ms": 1000 * loading, "file_mb": size / 2**20}


def steps(n: int) -> dict[str, float]:
    """Measure clustering and keeping on a dataset: seconds, and database commands, of each."""
    import fiftyone as fo
    from pymongo import monitoring

    commands = _Commands()
    monitoring.register(commands)
    made, plugin = dataset([f"{number}.jpg" for number in range(n)])
    ids = made.values("id")
    write_vectors(made, ids, data.vectors(n))
    options, found = plugin("similarity.options"), {}
    made.add_sample_field("plain", fo.IntField)
    for name, step, chosen in (
        ("set_values", lambda made, _: made.set_values("plain", dict.fromkeys(ids, 1), key_field="id"), None),
        ("read", lambda made, _: plugin("similarity.data.vectors").read_vectors(made, "vectors"), None),
        (
            "cluster",
            plugin("similarity.steps.cluster").cluster,
            options.ClusterOptions(embeddings_field="vectors", eps=data.EPS),
        ),
        ("keep", plugin("similarity.steps.keep").keep, options.KeepOptions()),
    ):
        before, started = commands.number, time.perf_counter()
        step(made, chosen)
        found[f"{name}_seconds"] = time.perf_counter() - started
        found[f"{name}_commands"] = commands.number - before
    return found


def unique(n: int, auto: bool) -> dict[str, float]:
    """Measure ``find_unique_samples`` with ready vectors: with the measured threshold, or the same number given."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.jpg" for number in range(n)]
        for path in paths:
            path.touch()
        made, plugin = dataset([str(path) for path in paths])
        eps = _declare_ready(made, plugin)
        options = plugin("similarity.options").UniqueOptions(weights="untrained", eps="auto" if auto else eps)
        started = time.perf_counter()
        found = plugin("similarity.steps.unique").find_unique(made, options)
        return {"seconds": time.perf_counter() - started, "kept": found.kept}


def _declare_ready(made, plugin) -> float:
    """Let vectors look as if compute_embeddings had just written them; return their threshold."""
    vgg16, embeddings = plugin("similarity.engine.vgg16"), plugin("similarity.data.embeddings")
    provenance, names = vgg16.provenance(weights="untrained"), embeddings.FieldNames("vgg16")
    embeddings.declare(made, names, provenance, "untrained")
    ids, paths = made.values(["id", "filepath"])
    write_vectors(made, ids, data.vectors(len(ids)), "vgg16")
    marks = {
        i: plugin("similarity.engine.images").file_mark(path) for i, path in zip(ids, paths, strict=True)
    }
    plugin("similarity.data.samples").write(made, {names.digest: {i: i for i in ids}, names.file: marks})
    return plugin("similarity.engine.calibration").threshold(provenance).eps


def gpus() -> dict[str, float]:
    """Return how many GPUs TensorFlow sees."""
    import tensorflow as tf

    return {"gpus": len(tf.config.list_physical_devices("GPU"))}


def dataset(paths: list[str]):
    """Return a new dataset in the benchmark's database, and the plugin's modules by name."""
    import fiftyone as fo
    import fiftyone.operators as foo

    foo.list_operators()
    fo.config.show_progress_bars = False
    made = fo.Dataset()
    made.add_samples(fo.Sample(filepath=path) for path in paths)  # not all in memory at once
    return made, lambda name: importlib.import_module(f"fiftyone.plugins.orgs.onlyone.dedup.{name}")


def write_vectors(
    made, ids: list[str], vectors: np.ndarray, field: str = "vectors", part: int = 50_000
) -> None:
    """Write vectors into a field."""
    for start in range(0, len(ids), part):
        values = dict(zip(ids[start : start + part], vectors[start : start + part], strict=True))
        made.set_values(field, values, key_field="id", progress=False)


def _plain_keras_model(predict: bool):
    import fiftyone.core.models as fom
    import keras

    network = keras.applications.VGG16(weights=None, include_top=False, pooling="avg")

    class Plain(fom.Model, fom.EmbeddingsMixin):
        media_type, has_embeddings, ragged_batches, transforms, preprocess = "image", True, False, None, True

        def embed_all(self, images):
            import cv2

            batch = np.stack([cv2.resize(image, (224, 224)) for image in images]).astype(np.float32)
            ready = keras.applications.vgg16.preprocess_input(batch)
            return (
                network.predict(ready, verbose=0) if predict else np.asarray(network(ready, training=False))
            )

        def embed(self, image):
            return self.embed_all([image])[0]

        predict = embed

    return Plain()


def _rate(n: int, started: float) -> dict[str, float]:
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "per_second": n / seconds}


class _Commands:
    """Counts database commands; a round trip each."""

    def __new__(cls):
        from pymongo import monitoring

        class Counter(monitoring.CommandListener):
            number = 0

            def started(self, event):
                self.number += 1

            def succeeded(self, event):
                pass

            def failed(self, event):
                pass

        return Counter()


if __name__ == "__main__":
    serve(
        {
            name: function
            for name, function in list(globals().items())
            if callable(function) and not name.startswith("_")
        }
    )
