"""Analyses of consumption: what a person should know of a metering point. Pure functions of its
hours; nothing is remembered from one time to the next but the findings that were told."""

from cloud.domain.analyses import (
    continuous_flow,
    data_missing,
    night_flow,
    reverse_flow,
    standstill,
    unusual_consumption,
)
from cloud.domain.analyses.findings import RECENT, Changes, Finding, Severity, follow
from cloud.domain.analyses.history import SPAN, History, Hour
from cloud.domain.analyses.reverse_flow import Readings
from cloud.domain.analyses.settings import Analyses, configure, defaults

__all__ = [
    "RECENT",
    "SPAN",
    "Analyses",
    "Changes",
    "Finding",
    "History",
    "Hour",
    "Readings",
    "Severity",
    "analyse",
    "configure",
    "defaults",
    "follow",
]


def analyse(
    history: History, settings: Analyses, readings: Readings | None = None
) -> list[Finding]:
    """All that is found in the history, the oldest first; ``follow`` says what is to be told of it.

    ``readings``: of one meter's index, for reverse flow; the last few days are enough.
    """
    found: list[Finding] = []
    if settings.continuous_flow:
        found += continuous_flow.find(history, settings.continuous_flow)
    if settings.night_flow:
        found += night_flow.find(history, settings.night_flow)
    if settings.standstill:
        found += standstill.find(history, settings.standstill)
    if settings.reverse_flow and readings:
        found += reverse_flow.find(readings, history, settings.reverse_flow)
    if settings.unusual_consumption:
        found += unusual_consumption.find(history, settings.unusual_consumption)
    if settings.data_missing:
        found += data_missing.find(history, settings.data_missing)
    return sorted(found, key=lambda one: (one.since, one.code))
