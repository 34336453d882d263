"""Imports go one way, as the table in docs/architecture.md says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    *(f"similarity/{shelf}" for shelf in ("data", "engine", "exports", "index", "steps")),
    "similarity",
    "operators",
)
SOURCES = sorted(
    path
    for room in ("operators", "similarity")
    for path in (ROOT / room).rglob("*.py")
    if "__pycache__" not in path.parts
)


def room(path: Path) -> str:
    """The room a file or package stands in."""
    text = path.relative_to(ROOT).as_posix()
    return next(room for room in ROOMS if text == room or text.startswith(room + "/"))


def imports(path: Path) -> list[tuple[str | None, str]]:
    """``(room, name)`` of each import; room is None for other packages."""
    found: list[tuple[str | None, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(None, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((None, node.module.split(".")[0]))
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            targets = (
                [base] if node.module and not base.is_dir() else [base / alias.name for alias in node.names]
            )
            found += [(room(target), target.name) for target in targets]
    return found


def table(heading: str) -> dict[str, set[str]]:
    """The rows of the table below a heading of docs/architecture.md: first column -> names in the second."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    return {
        re.findall(r"`([^`]+)`", first)[0]: set(re.findall(r"`([^`]+)`", second)) for first, second in rows
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_room_imports_only_rooms_below_it(path):
    allowed = table("Rooms")[room(path)] | {room(path)}
    used = {target for target, _ in imports(path) if target is not None}
    assert used <= allowed


def test_each_engine_module_uses_only_the_libraries_the_table_gives_it():
    ours = set(sys.stdlib_module_names) | {"__future__"}
    used = {}
    for path in SOURCES:
        if room(path) == "similarity/engine" and path.name != "__init__.py":
            names = {name for target, name in imports(path) if target is None} - ours - {"numpy", "scipy"}
            used[path.name] = names
    expected = table("Libraries of the engine")
    assert {name: libraries for name, libraries in used.items() if libraries} == expected


def test_no_file_changes_the_import_path():
    for path in SOURCES:
        assert "sys.path" not in path.read_text(encoding="utf-8"), path


def test_the_engine_and_the_options_import_without_fiftyone():
    modules = [
        f"similarity.engine.{path.stem}"
        for path in SOURCES
        if room(path) == "similarity/engine" and path.stem != "__init__"
    ]
    code = "import importlib, sys\n" + "\n".join(
        f"importlib.import_module({name!r})" for name in [*modules, "similarity.options"]
    )
    code += "\nassert not {'fiftyone', 'tensorflow', 'keras', 'annoy'} & set(sys.modules), set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_one_room(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
