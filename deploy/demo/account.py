"""Makes the demo's account, with the program that an operator would use for it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str]) -> int:
    """``python -m deploy.demo.account STATE_DIRECTORY NAME``"""
    state, name = Path(argv[0]), argv[1]
    cloud = [sys.executable, "-m", "cloud", "--config", str(state / "cloud.toml")]
    add = ["user", "add", name, "--role", "admin", "--password-file", str(state / "password")]
    for command in (["migrate"], add):
        done = subprocess.run([*cloud, *command], check=False)
        if done.returncode != 0:
            return done.returncode
    (state / "account.done").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
