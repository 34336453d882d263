"""What tests that need a real FiftyOne share; importing it starts one. Import it before ``fiftyone``."""

import atexit
import importlib
import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

from pymongo import MongoClient

from tools import sandbox

# MongoDB waits for the disk at every new collection, of which a test makes several: in memory it does not.
MEMORY = Path("/dev/shm")
ROOMY = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 << 30
HOME = Path(tempfile.mkdtemp(prefix="onlyone-tests-", dir=MEMORY if ROOMY else None))
SERVER = sandbox.enter(HOME, temporary=True)
# FiftyOne, Keras and Matplotlib also write below the home directory whatever their own variables say; the trash is
# there, on the disk that the tests' files are on.
USER = tempfile.mkdtemp(prefix="onlyone-tests-user-")
atexit.register(shutil.rmtree, USER, ignore_errors=True)
os.environ.update(HOME=USER, XDG_DATA_HOME=f"{USER}/share", FIFTYONE_SHOW_PROGRESS_BARS="false")

import fiftyone as fo  # noqa: E402
import fiftyone.constants as foc  # noqa: E402
import fiftyone.operators as foo  # noqa: E402

# A process that ends deletes the datasets that are not persistent if it sees no other client greet the server at that
# moment. On a busy machine that of this process is easily missed: these greet too.
CLIENTS = [MongoClient(SERVER.uri, appname=foc.DATABASE_APPNAME) for _ in range(3)]

PACKAGE = "fiftyone.plugins.orgs.onlyone.dedup"


def uri(name: str) -> str:
    """Return the full name of one of our operators; a name with a slash is taken as it is."""
    return name if "/" in name else f"@onlyone/dedup/{name}"


def plugin(name: str = "") -> ModuleType:
    """Return a module of the plugin under its real name, e.g. ``plugin("similarity.data.runs")``."""
    foo.list_operators()
    return importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


def run(name: str, target, *, selected=(), delegate: bool = False, **params):
    """Execute an operator by its name, as the App does.

    Args:
        name: the operator
        target: a dataset or a view
        selected (()): ids of selected samples
        delegate (False): whether to queue it instead; see :func:`run_queue`
        **params: what the form would hold

    Returns:
        FiftyOne's ExecutionResult: ``.result`` and, of what it asked the App to do, ``.executor``

    Raises:
        fiftyone.operators.executor.ExecutionError: if the operator fails or a parameter is not valid
    """
    key = "view" if isinstance(target, fo.DatasetView) else "dataset"
    context = {key: target, "selected": list(selected), "request_delegation": delegate}
    return foo.execute_operator(uri(name), context, params=params)


def run_queue(name: str, dataset):
    """Execute here what is queued for an operator and a dataset; return the newest run's record."""
    from fiftyone.operators.delegated import DelegatedOperationService

    service = DelegatedOperationService()
    service.execute_queued_operations(operator=uri(name), dataset_name=dataset.name)
    return service.list_operations(operator=uri(name), dataset_name=dataset.name)[-1]


def requests(result) -> list[tuple[str, dict]]:
    """Return what an execution asked the App to do, in order: operator name and parameters."""
    return [(r["operator_uri"], r["params"]) for r in result.executor.to_json()["requests"]]
