"""The benchmark's arithmetic and its page; what it measures is not timed here."""

import json
import math
import re

import numpy as np
import pytest

from tools.bench import data, report, sections
from tools.bench.measure import Task


def test_the_exponent_is_the_power_that_time_grows_with():
    sizes = (1_000, 2_000, 8_000)
    assert sections.exponent(sizes, [3e-7 * n**1.5 for n in sizes]) == pytest.approx(1.5)


def test_a_task_reports_its_figures_and_its_own_peak_memory():
    ours = np.ones(2**27)  # 1 GB, which a child's getrusage would name as its own
    found = Task("cluster_ours", {"n": 300}).run()
    assert found["clusters"] == 30
    assert 20 < found["peak_mb"] < ours.nbytes / 2**21


def test_a_task_that_fails_says_why():
    found = Task("cluster_ours", {"n": 300, "eps": -1.0}).run()
    assert list(found) == ["failed"]
    assert re.match(r"ValueError: eps .* -1\.0", found["failed"])


def test_the_data_are_the_same_each_time_and_hold_exact_copies():
    once, again = data.vectors(2_000, 500), data.vectors(2_000, 500)
    assert (once == again).all()
    assert len({row.tobytes() for row in once}) < 2_000


def test_the_page_sets_a_ratio_beside_its_aim_and_leaves_no_failure_out():
    found = {
        "machine": {"cores": 2, "cpu": "a CPU", "memory_gb": 24, "gpus": 0, "python": "3.11.7"},
        "seconds": {"embedding": 60},
        "measured": {name: {"date": "2026-01-02", "cpu": f"{name}'s"} for name in ("embedding", "growth")},
        "sections": {
            "embedding": {
                "model alone, auto precision": {"per_second": 20.0},
                "files to field, 2 megapixels, auto": {"per_second": 19.0},
                "files to field, 12 megapixels, auto": {"per_second": 12.0},
                "decoding 12 megapixels, one core": {"per_second": 15.0},
                "VGG16 in PyTorch eager": {"failed": "No module named 'torch'"},
            },
            "growth": {"a step": {"seconds": {"1,000": 1.0, "2,000": math.nan}, "exponent": math.nan}},
        },
    }
    page = report.page(json.loads(json.dumps(found)))
    assert "| files to field, 2 megapixels / model alone | 0.95 | 0.9 |" in page
    assert "together allow | 1.00 | 0.9 |" in page  # 1 / (1/20 + 1/30) = 12
    assert "| VGG16 in PyTorch eager | No module named 'torch' |" in page
    assert "| a step | 1 | nan | nan |" in page
    assert [page.count(f"2026-01-02, {name}'s.") for name in ("embedding", "growth")] == [1, 1]
