"""Questions to a person, or to a file of answers; what was said so far survives an interruption."""

import sys
import tomllib
from collections.abc import Callable, Iterator
from getpass import getpass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from common.errors import ConfigError, InMetterError
from edge_agent.cli.document import keep
from edge_agent.cli.found import FoundDevice

T = TypeVar("T")


class Draft(Struct):
    """What was said and found until now. Secrets are not in it."""

    answers: dict[str, str] = {}
    found: dict[str, list[FoundDevice]] = {}


class Interview:
    """Asks for one thing at a time.

    ``answers``: a TOML file that is asked instead of a person. ``draft``: where everything is kept
    until the end, and what the next run offers.
    """

    def __init__(self, draft: Path, answers: Path | None) -> None:
        self._file = draft
        self._answers = answers
        self._given = dict(_flat(_read(answers))) if answers else None
        self._draft = _load(draft)
        if self._draft.answers and self._given is None:
            self.say(f"Going on with what {draft} holds; Enter takes what stands in brackets.")

    def say(self, text: str) -> None:
        """Tell the person."""
        print(text, file=sys.stderr)

    def ask(
        self,
        key: str,
        question: str,
        check: Callable[[str], T],
        default: str = "",
        *,
        secret: bool = False,
    ) -> T:
        """The answer as ``check`` understands it; asked again while that raises.

        Raises ConfigError when a file answers wrong, or when there is nobody to ask.
        """
        if self._given is not None:
            text = self._given.get(key, default)
            try:
                return check(text)
            except (InMetterError, ValueError) as error:
                raise ConfigError(f"{self._answers}: {key}: {error}") from error
        default = self._draft.answers.get(key, default)
        while True:
            shown = f" [{default}]" if default else ""
            self._prompt(f"{question}{shown}: ")
            text = self._line(secret=secret) or default
            try:
                text.encode()
            except UnicodeEncodeError:
                self.say("  cannot be read as text: is this terminal set to UTF-8?")
                continue
            try:
                understood = check(text)
            except (InMetterError, ValueError) as error:
                self.say(f"  {error}")
                continue
            if not secret:
                self._draft.answers[key] = text
                self._keep()
            return understood

    def yes(self, key: str, question: str, default: str = "no") -> bool:
        """A question with two answers."""
        return self.ask(key, f"{question} (yes or no)", _yes, default)

    def found(self, url: str) -> list[FoundDevice] | None:
        """What an earlier, interrupted run has found on the line; None when it was not looked."""
        return self._draft.found.get(url)

    def keep_found(self, url: str, devices: list[FoundDevice]) -> None:
        """Keep what was found on the line."""
        self._draft.found[url] = devices
        self._keep()

    def forget(self) -> None:
        """Everything is done: the draft goes."""
        self._file.unlink(missing_ok=True)

    def _prompt(self, text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)

    def _line(self, *, secret: bool) -> str:
        if secret and sys.stdin.isatty():
            return getpass("").strip()
        line = sys.stdin.readline()
        if not line:
            raise ConfigError(f"nobody answers; what was said is kept in {self._file}")
        return line.strip()

    def _keep(self) -> None:
        keep(self._file, self._draft)


def _yes(text: str) -> bool:
    word = text.lower()
    if word not in ("y", "yes", "n", "no", "true", "false"):
        raise ValueError("expected yes or no")
    return word in ("y", "yes", "true")


def _load(file: Path) -> Draft:
    if not file.exists():
        return Draft()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Draft)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file}: is no draft of ours ({error}): remove it") from error


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _flat(value: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """``{"line": [{"url": "x"}]}`` as ``line.1.url = x``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _flat(inner, f"{prefix}.{number}")
    else:
        yield prefix, str(value).lower() if isinstance(value, bool) else str(value)
