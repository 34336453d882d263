"""``make demo APP=0``: the whole job, as a person's first command runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def demo(home: Path) -> str:
    """Run the demo as a user with this home directory, and return what it prints."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("FIFTYONE_", "ONLYONE_"))
    }
    command = [sys.executable, "-m", "tools.demo", "--no-app"]
    run = subprocess.run(
        command, cwd=ROOT, env={**own, "HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def printed(home):
    """What the first run prints."""
    return demo(home)


@pytest.mark.slow
def test_500_pictures_become_28_and_every_scene_is_kept_once(home, printed):
    assert "500 samples, 28 clusters, 28 kept: 5.6 % to annotate" in printed
    assert "With cover, the default, " in printed
    assert "Every one of the 28 scenes is kept exactly once." in printed
    exported = home / ".fiftyone" / "onlyone" / "demo" / "export"
    assert len([file for file in exported.rglob("*") if file.suffix == ".jpg"]) >= 28
    assert (exported / "manifest.csv").exists()


@pytest.mark.slow
def test_the_second_run_skips_what_is_up_to_date_and_says_so(home, printed):
    again = demo(home)

    assert "The 500 pictures are there already" in again
    assert "500 samples: 0 embedded, 500 up to date" in again
    assert "The similarity index 'vgg16_annoy' is up to date" in again
    assert "The export is up to date" in again
    assert "500 samples, 28 clusters, 28 kept: 5.6 % to annotate" in again


@pytest.mark.slow
def test_nothing_of_the_users_own_fiftyone_is_touched(home, printed):
    assert [path.name for path in (home / ".fiftyone").iterdir()] == ["onlyone"]
    assert [path.name for path in (home / ".fiftyone" / "onlyone").iterdir()] == ["demo"]
