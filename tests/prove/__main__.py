"""``python -m tests.prove``: a fleet in a storm, and its books (docs/reliability.md)."""

import argparse
import json
import re
import secrets
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.prove.run import prove

VAR = Path("var/prove")
SEED = re.compile(r"[A-Za-z0-9_-]{0,32}")
"""It names the folder, which is made anew."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--seed", default="", help="repeats a storm; by default a new one")
    parser.add_argument("--minutes", type=float, default=3, help="how long the storm is")
    parser.add_argument("--gateways", type=int, default=4)
    arguments = parser.parse_args()
    if not (0 < arguments.minutes <= 60 and 1 <= arguments.gateways <= 50):
        parser.error("expected 0 to 60 minutes, and 1 to 50 gateways")
    if not SEED.fullmatch(arguments.seed):
        parser.error("--seed: expected up to 32 letters, digits, - and _")
    seed = arguments.seed or secrets.token_hex(3)
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    directory = VAR.resolve() / seed
    shutil.rmtree(directory, ignore_errors=True)
    try:
        proof = prove(directory, seed, arguments.minutes * 60, arguments.gateways)
    except AssertionError as error:
        sys.stdout.write(f"{_log(directory)}\nthe fleet does not come to rest: {error}\n")
        sys.stdout.write(f"see {directory}\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.write("interrupted\n")
        return 1
    told = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **proof.figures()}
    (VAR / "last.json").write_text(json.dumps(told, indent=1) + "\n")
    if not proof.books.balance:
        sys.stdout.write(f"{_log(directory)}\n{proof.books.text()}\n")
        sys.stdout.write(f"the books do not balance: see {directory}\n")
        return 1
    sys.stdout.write(proof.books.line() + "\n")
    return 0


def _log(directory: Path) -> str:
    return (directory / "storm.log").read_text("utf-8")


if __name__ == "__main__":
    sys.exit(main())
