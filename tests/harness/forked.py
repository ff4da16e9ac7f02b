"""Programs of inMetter without the seconds that their imports take.

They are forked from a process that has loaded everything, and are what ``python -m`` makes of them
otherwise. What a start costs, or takes in memory, is not to be seen on them.
"""

import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.demo.processes import die_with_parent

_PRELOADED = ("cloud.app", "cloud.api.app", "cloud.dashboard", "edge_agent.app")
PYTHON_M = [sys.executable, "-m"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*_PRELOADED, __name__])


class ForkedChild:
    """As ``deploy.demo.processes.Child``, for a ``command`` that begins with PYTHON_M."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        self._process = _context.Process(
            target=_become,
            name=name,
            args=(command[2], command[3:], log, environment),
            daemon=True,
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.exitcode

    def stop(self, patience_s: float = 8) -> None:
        """Ask it to stop; end it when it does not."""
        if self.exit_code is None:
            self._process.terminate()
            self._process.join(patience_s)
        if self.exit_code is None:
            self._process.kill()
            self._process.join()


def _become(module: str, arguments: Sequence[str], log: Path, environment: dict[str, str]) -> None:
    os.setsid()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.stdin.close()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115  as long as the process lives
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
