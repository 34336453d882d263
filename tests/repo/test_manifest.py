"""The manifest, the README and the requirements agree with the code."""

import re
import tomllib
from pathlib import Path

import yaml

from tests import support
from tools import tables

import fiftyone.plugins as fop  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = yaml.safe_load((ROOT / "fiftyone.yml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")


def registered(kind: str) -> set[str]:
    support.plugin()
    found = support.foo.OperatorRegistry().list_operators(type=kind, builtin=False)
    return {operator.name for operator in found if operator.plugin_name == MANIFEST["name"]}


def test_the_plugin_loads_without_errors():
    support.plugin()
    assert support.foo.OperatorRegistry().list_errors() == []


def test_the_manifest_lists_every_registered_operator():
    assert set(MANIFEST["operators"]) == registered("operator")


def test_the_manifest_lists_every_registered_panel():
    assert set(MANIFEST["panels"] or []) == registered("panel")


def test_the_skill_is_found_and_names_only_operators_that_exist():
    support.plugin()
    (skill,) = fop.list_skills(plugin=MANIFEST["name"])
    text = (ROOT / "skills" / skill.name / "SKILL.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text)) - {"run_key"}
    assert named
    assert named <= set(MANIFEST["operators"])


def test_every_operator_says_its_risk_and_has_an_icon():
    support.plugin()
    for name in MANIFEST["operators"]:
        config = support.foo.get_operator(support.uri(name)).config
        assert config.risk_level.value in {"low", "medium", "high"}, name
        assert config.icon, name
        assert config.description, name


def test_the_readme_names_every_operator():
    missing = [name for name in MANIFEST["operators"] if f"`{name}`" not in PAGE]
    assert missing == []


def test_the_readme_has_the_options_as_they_are():
    assert tables.rendered(PAGE, tables.options_table()) == PAGE
    assert "<!-- options: begin -->" in PAGE


def test_the_readme_has_the_options_of_every_operator():
    """Those of find_unique_samples are the options of its three steps."""
    support.plugin()
    listed = dict(tables.STEPS)
    without = {"find_unique_samples", "cancel_step"}
    assert set(listed) == set(MANIFEST["operators"]) - without
    for name, options in listed.items():
        assert support.foo.get_operator(support.uri(name)).options.__name__ == options.__name__


def test_the_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runs = support.plugin("similarity.data.runs")
    assert MANIFEST["version"] == project["version"] == runs.VERSION
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_top_level_holds_what_it_may():
    allowed = {
        *("fiftyone.yml", "__init__.py", "operators", "similarity", "tests", "requirements.txt", "README.md"),
        "requirements-ray.txt",
        *(
            "pyproject.toml",
            "Makefile",
            "tools",
            "docs",
            "LICENSE",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "skills",
        ),
    }
    present = {
        path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.name != "__pycache__"
    }
    assert present == allowed
