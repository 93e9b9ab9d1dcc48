"""SIGKILL at random moments, resume, and the same weights. `benchmarks/kill_and_resume.py` does many more."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_and_resume.py"


def test_killed_runs_end_with_the_same_weights() -> None:
    command = [sys.executable, str(SCRIPT), "digits", "--runs", "1", "--kills", "2", "--epochs", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1/1 runs" in done.stdout
