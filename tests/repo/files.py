"""The files that belong to the repository: what git tracks, or would if it were told to."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def repository_files() -> tuple[str, ...]:
    """Paths relative to ROOT, in order; what .gitignore names is left out."""
    output = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted(name for name in output.split("\0") if name and (ROOT / name).is_file()))
