"""A program that a test needs: missing is a failure in CI and a visible skip elsewhere."""

import os
import shutil
from typing import NoReturn

import pytest


def find_program(name: str) -> str:
    """The path of ``name``, also from /usr/sbin; skips (in CI: fails) the test without it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        without(name)
    return found


def without(name: str) -> NoReturn:
    """``name`` is not there: skips the test, in CI fails it."""
    message = f"{name} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
