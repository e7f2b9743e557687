"""The whole way of one permit, as `make journey` drives it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_one_permit_from_registration_to_verification(tmp_path: Path) -> None:
    drive = Path(__file__).parent / "drive.py"
    done = subprocess.run(
        [sys.executable, str(drive), "--output", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"permit.pdf", "altered.pdf", "root.pem"}
    assert "anyone verifies permit.pdf: genuine" in done.stdout
