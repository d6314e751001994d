"""Outside programs that tests run."""

from __future__ import annotations

import os
import shutil

import pytest

CI = os.environ.get("CI") == "true"


def program(name: str) -> str:
    """The path of an outside program; where it is missing, the test is skipped, or fails in CI."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # where Debian has its daemons
    if not found:
        if CI:
            pytest.fail(f"{name} is missing, CI has to install it")
        pytest.skip(f"{name} is not installed")
    return found
