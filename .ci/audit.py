"""Known vulnerabilities of what is installed beside this Python, by pip-audit and PyPI's advisories.

pip-audit passes over what its source does not answer for, and then ends with "No known vulnerabilities found" and 0:
where the advisories cannot be reached nothing would ever be found. Here that is told apart.

    python .ci/audit.py      exit code 0: all looked up, none known; 1: some known; 3: some or all not looked up
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NOT_AUDITED = 3


def main() -> int:
    freeze = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable"]
    frozen = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text("\n".join(line for line in frozen.splitlines() if "==" in line))
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        audit = [sys.executable, "-m", "pip_audit", "-r", str(listed), *options]
        done = subprocess.run(audit, capture_output=True, text=True, check=False)
    try:
        return told(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"NOT AUDITED: pip-audit did not get through: {last}", file=sys.stderr)
        return NOT_AUDITED


def told(found: list[dict[str, Any]]) -> int:
    """Say what pip-audit found; the exit code."""
    passed_over = [package for package in found if "skip_reason" in package]
    known = [(package, fault) for package in found for fault in package.get("vulns", [])]
    for package, fault in known:
        fixed = ", ".join(fault["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {fault['id']}, fixed in {fixed}")
    print(f"{len(found) - len(passed_over)} packages looked up, {len(known)} known vulnerabilities")
    if passed_over:
        names = ", ".join(package["name"] for package in passed_over[:5])
        print(
            f"NOT AUDITED: {len(passed_over)} of {len(found)} packages ({names}, …): no advisories were to be had for "
            "them. They are in the JSON that PyPI has of each release; an index that only mirrors files lacks them. "
            "Run this where PyPI itself can be reached.",
            file=sys.stderr,
        )
    return 1 if known else NOT_AUDITED if passed_over else 0


if __name__ == "__main__":
    sys.exit(main())
