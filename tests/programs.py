"""Outside programs that tests run."""

from __future__ import annotations

import os
import shutil

import pytest

CI = os.environ.get("CI") == "true"


def program(name: str) -> str:
    """Path of an outside program; skips where it is missing, fails in CI."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # Debian's daemons
    if not found:
        if CI:
            pytest.fail(f"{name} is missing, CI has to install it")
        pytest.skip(f"{name} is not installed")
    return found
