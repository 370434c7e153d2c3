"""The campaign of faults in short: kills, signals, full disks and flipped bits in every stage, and nothing is lost.

The short form has one kill, one signal and one flipped bit per stage, and runs in CI; the long one has two kills and full
disks as well.
"""

import json
import pathlib
import subprocess
import sys

import fault_campaign
import pytest

PROGRAM = pathlib.Path(fault_campaign.__file__)


pytestmark = pytest.mark.slow

SHORT = ("--kills=6", "--signals=6", "--flips=1", "--rooms=")
LONG = ("--kills=12", "--signals=6", "--flips=2", "--rooms=0.3")


@pytest.fixture(scope="module", params=[SHORT, LONG], ids=["short", "long"])
def found(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("faults")
    flags = [*request.param, f"--root={folder}", f"--out={folder / 'out.json'}"]
    done = subprocess.run([sys.executable, PROGRAM, *flags], capture_output=True, text=True, timeout=550)
    assert done.returncode in (0, 1), done.stderr
    return json.loads((folder / "out.json").read_text())["faults"], done.stdout


@pytest.mark.parametrize("fault", ["kill -9", "SIGTERM", "full disk", "flipped bit"])
def test_nothing_is_lost(found, fault):
    table, printed = found
    if fault not in table:
        pytest.skip("only in the long form, and only where a tmpfs can be mounted (root)")
    stages = fault_campaign.READS if fault == "flipped bit" else fault_campaign.STAGES
    assert set(table[fault]) == set(stages)
    assert [counts["lost"] for counts in table[fault].values()] == [0] * len(stages), printed
    if fault in ("kill -9", "SIGTERM"):
        assert all(counts["tried"] > 0 for counts in table[fault].values())
