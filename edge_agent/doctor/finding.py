"""One thing that was looked at, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a thing is. UNKNOWN: it could not be looked at."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """``advice`` says what to do, unless all is good."""

    subject: str
    verdict: Verdict
    found: str
    advice: str = ""


def good(subject: str, found: str) -> Finding:
    return Finding(subject, Verdict.GOOD, found)


def warning(subject: str, found: str, advice: str) -> Finding:
    return Finding(subject, Verdict.WARNING, found, advice)


def bad(subject: str, found: str, advice: str) -> Finding:
    return Finding(subject, Verdict.BAD, found, advice)


def unknown(subject: str, found: str, advice: str) -> Finding:
    return Finding(subject, Verdict.UNKNOWN, found, advice)
