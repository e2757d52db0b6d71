"""Whatever module of a room is imported first, the others follow."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["registering", "personalizing"])
def test_a_step_can_be_imported_before_all_others(module: str) -> None:
    code = f"import django; django.setup(); import devices.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
