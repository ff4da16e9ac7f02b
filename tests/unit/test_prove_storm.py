"""The storm of ``make prove`` is a function of its seed, and breaks no rule of its own."""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

from tests.prove.storm import FAULTS, orders, plan

GATEWAYS = ["gw-1", "gw-2", "gw-3"]
TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "reliability.md"


def test_a_seed_repeats_its_storm_and_another_one_does_not() -> None:
    assert plan("7", 120, GATEWAYS) == plan("7", 120, GATEWAYS)
    assert orders("7", 120, GATEWAYS) == orders("7", 120, GATEWAYS)
    assert plan("7", 120, GATEWAYS) != plan("8", 120, GATEWAYS)
    assert orders("7", 120, GATEWAYS) != orders("8", 120, GATEWAYS)


def test_every_fault_comes_in_a_storm_of_two_minutes() -> None:
    for seed in map(str, range(50)):
        counts = Counter(blow.fault.name for blow in plan(seed, 120, GATEWAYS))
        assert counts.keys() == {fault.name for fault in FAULTS}


def test_a_storm_is_over_in_time_and_befalls_nothing_twice_at_once() -> None:
    for seed in map(str, range(50)):
        blows = plan(seed, 60, GATEWAYS)
        assert all(0 < blow.at_s <= blow.at_s + blow.lasts_s <= 60.001 for blow in blows)
        for one, other in combinations(blows, 2):
            if (one.target, one.fault.busy) == (other.target, other.fault.busy):
                assert other.at_s >= one.at_s + one.lasts_s + one.fault.calm_s - 0.01


def test_the_document_has_a_line_for_each_fault() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [fault.name for fault in FAULTS if f"| {fault.name} |" not in text] == []


def test_every_test_that_the_document_names_exists() -> None:
    there: set[str] = set()
    for file in TESTS.glob("*/test_*.py"):
        there.update(re.findall(r"def (test_\w+)\(", file.read_text("utf-8")))
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text("utf-8")))
    assert named
    assert named <= there
