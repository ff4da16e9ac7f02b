"""Programs that a test starts, kills, and starts again; each with a log of its own."""

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from deploy.demo.processes import Child
from tests.harness.eventually import eventually
from tests.harness.forked import PYTHON_M, ForkedChild


class Program:
    """A program in a process group of its own, which does not outlive the test run.

    ``start`` may be called again after ``stop`` or ``kill9``; the log is continued.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, *, forked: bool = False
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._kind = ForkedChild if forked and self.command[:2] == PYTHON_M else Child
        self._child: Child | ForkedChild | None = None

    def start(self) -> "Program":
        if not self.running:
            self._child = self._kind(self.name, self.command, self.log)
        return self

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    @property
    def pid(self) -> int:
        """Of the running program; raises AssertionError when there is none."""
        assert self._child is not None, f"{self.name} was not started"
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._child.exit_code if self._child else None

    def stop(self, patience_s: float = 8) -> None:
        """SIGTERM, as a service manager does; SIGKILL after ``patience_s``."""
        if self._child:
            self._child.stop(patience_s)
            self._kill_group()

    def kill9(self) -> None:
        """SIGKILL to it and its children: no farewell, nothing flushed."""
        if self._child:
            self._kill_group()
            self._child.stop()

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def log_text(self) -> str:
        """Everything that it has written so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def wait_for(self, text: str, timeout_s: float = 30) -> None:
        """Until it has written ``text``; raises RuntimeError when it ends, AssertionError when
        it takes too long."""

        def written() -> bool:
            found = text in self.log_text()
            if not found and not self.running:
                raise RuntimeError(f"{self.name} ended without {text!r}:\n{self.last_words()}")
            return found

        eventually(written, timeout_s, f"{self.name} writes {text!r}")

    def ended(self, timeout_s: float = 30) -> int:
        """Its exit code, once it has ended by itself."""
        eventually(lambda: not self.running, timeout_s, f"{self.name} ends")
        assert self.exit_code is not None
        return self.exit_code

    def last_words(self, lines: int = 40) -> str:
        """The end of its log, and how it ended."""
        end = "\n".join(self.log_text().splitlines()[-lines:])
        return f"{end}\n[{'running' if self.running else f'exit code {self.exit_code}'}]"

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Programs:
    """All programs of a test; a context manager that stops them, the last one first.

    ``forked``: what the starts of inMetter's own take is not looked at.
    """

    def __init__(self, directory: Path, *, forked: bool = False) -> None:
        self._directory = directory
        self._forked = forked
        self._all: dict[str, Program] = {}

    def add(self, name: str, *command: str) -> Program:
        """Make a program known under ``name``; it is not started yet."""
        assert name not in self._all, f"there is a program {name} already"
        log = self._directory / f"{name}.log"
        self._all[name] = Program(name, command, log, forked=self._forked)
        return self._all[name]

    def __getitem__(self, name: str) -> Program:
        return self._all[name]

    def __iter__(self) -> Iterator[Program]:
        return iter(self._all.values())

    def __enter__(self) -> "Programs":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for program in reversed(self._all.values()):
            program.stop()

    def report(self) -> list[tuple[str, str]]:
        """(title, end of the log) of each program: what a failing test shows."""
        return [(f"log of {name}", one.last_words()) for name, one in self._all.items()]
