"""Imports go one way, as the table in docs/architecture.md says."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    *(f"similarity/{name}" for name in ("data", "engine", "exports", "index", "steps")),
    "similarity",
    "operators",
)
SOURCES = sorted(
    path
    for top in ("operators", "similarity")
    for path in (ROOT / top).rglob("*.py")
    if "__pycache__" not in path.parts
)


def folder(path: Path) -> str:
    """The row of the table that a file or package belongs to."""
    text = path.relative_to(ROOT).as_posix()
    return next(row for row in FOLDERS if text == row or text.startswith(row + "/"))


def imports(path: Path) -> tuple[set[Path], set[str]]:
    """The files of ours that a file imports, in functions too, and the names of other packages."""
    ours: set[Path] = set()
    others: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            ours |= {file(base, alias.name) for alias in node.names}
    return ours, others


def file(base: Path, name: str) -> Path:
    """The file that ``from base import name`` reads."""
    candidates = (
        base / name / "__init__.py",
        base / f"{name}.py",
        base / "__init__.py",
        base.with_suffix(".py"),
    )
    return next(found for found in candidates if found.exists())


def table(heading: str) -> dict[str, set[str]]:
    """The rows of the table below a heading of docs/architecture.md: first column -> names in the second."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    return {
        re.findall(r"`([^`]+)`", first)[0]: set(re.findall(r"`([^`]+)`", second)) for first, second in rows
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_imports_only_from_its_own_folder_and_those_below(path):
    allowed = table("Folders")[folder(path)] | {folder(path)}
    ours, others = imports(path)
    assert {folder(target) for target in ours} <= allowed
    # FiftyOne gives the plugin's packages other names; what ray.py sends to a worker finds this one there by its own.
    allowed = {"similarity"} if path.name == "ray.py" else set()
    assert others & {"operators", "similarity", "tests", "tools"} == allowed


def test_no_files_import_each_other_in_a_circle():
    graphlib.TopologicalSorter({path: imports(path)[0] - {path} for path in SOURCES}).prepare()


def test_only_the_data_folder_reaches_into_fiftyone():
    """Elsewhere, no attribute with a leading underscore is read but an object's own."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.attr}"
        for path in SOURCES
        if folder(path) != "similarity/data"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and re.match("_[^_]", node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    ]
    assert not found


def test_each_engine_module_uses_only_the_libraries_the_table_gives_it():
    ours = set(sys.stdlib_module_names) | {"__future__", "numpy", "scipy"}
    used = {
        path.name: imports(path)[1] - ours
        for path in SOURCES
        if folder(path) == "similarity/engine" and path.name != "__init__.py"
    }
    expected = table("Libraries of the engine")
    assert {name: libraries for name, libraries in used.items() if libraries} == expected


def test_no_file_changes_the_import_path():
    for path in SOURCES:
        assert "sys.path" not in path.read_text(encoding="utf-8"), path


def test_the_engine_and_the_options_import_without_fiftyone():
    modules = [
        f"similarity.engine.{path.stem}"
        for path in SOURCES
        if folder(path) == "similarity/engine" and path.stem != "__init__"
    ]
    code = "import importlib, sys\n" + "\n".join(
        f"importlib.import_module({name!r})"
        for name in [
            *modules,
            "similarity.options",
            "similarity.search_options",
            "similarity.handover_options",
        ]
    )
    code += "\nassert not {'fiftyone', 'tensorflow', 'keras', 'annoy'} & set(sys.modules), set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_has_at_most_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
