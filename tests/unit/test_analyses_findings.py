"""What was told is known again; which analyses a point has."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from cloud.domain.analyses import (
    RECENT,
    Analyses,
    Finding,
    Severity,
    analyse,
    configure,
    defaults,
    follow,
)
from cloud.domain.analyses.settings import DEFAULTS
from common.errors import ConfigError
from common.registers import Medium
from tests.unit.analyses_parts import codes, history, hours, wall

NOW = wall(20)


def found(since: datetime, until: datetime | None = None, code: str = "leak") -> Finding:
    return Finding(code, Severity.ALARM, since, until, f"since {since}", {})


def test_what_is_found_for_the_first_time_is_opened_even_if_it_is_over() -> None:
    both = [found(wall(14), wall(15)), found(wall(16))]
    changes = follow([], both, NOW)
    assert (changes.opened, changes.lasting, changes.closed) == (both, [], [])


def test_what_is_known_is_told_no_more_and_has_what_is_seen_now() -> None:
    fresh = replace(found(wall(3)), text="worse")
    changes = follow([found(wall(3))], [fresh], NOW)
    assert (changes.opened, changes.lasting, changes.closed) == ([], [fresh], [])


def test_what_ends_is_closed_once() -> None:
    over = found(wall(3), wall(4))
    changes = follow([found(wall(3))], [over], NOW)
    assert (changes.opened, changes.lasting, changes.closed) == ([], [], [over])
    again = follow([over], [over], NOW)
    assert (again.opened, again.lasting, again.closed) == ([], [], [])


def test_what_is_found_no_more_is_closed_as_of_now() -> None:
    changes = follow([found(wall(3)), found(wall(1), wall(2))], [], NOW)
    assert (changes.opened, changes.lasting) == ([], [])
    assert changes.closed == [found(wall(3), NOW)]
    assert changes.closed[0].key == found(wall(3)).key


@pytest.mark.parametrize("moved", [wall(2), wall(4)], ids=["late readings", "a shorter history"])
def test_a_beginning_that_moves_is_no_new_finding(moved: datetime) -> None:
    changes = follow([found(wall(3))], [found(moved)], NOW)
    assert changes.opened == changes.closed == []
    assert [one.key for one in changes.lasting] == [found(wall(3)).key]


def test_two_that_become_one_are_told_once_and_leave_none_open() -> None:
    changes = follow([found(wall(3), wall(4)), found(wall(5))], [found(wall(3))], NOW)
    assert [one.since for one in changes.lasting] == [wall(3)]
    assert [one.since for one in changes.closed] == [wall(5)]
    assert changes.opened == []


def test_one_that_ends_and_begins_again_between_two_looks_is_told_again() -> None:
    changes = follow([found(wall(3))], [found(wall(3), wall(4)), found(wall(5))], NOW)
    assert [one.since for one in changes.closed] == [wall(3)]
    assert [one.since for one in changes.opened] == [wall(5)]


def test_other_things_at_the_same_time_are_other_findings() -> None:
    changes = follow([found(wall(3))], [found(wall(3), code="burst")], NOW)
    assert codes(changes.opened) == ["burst"]
    assert codes(changes.closed) == ["leak"]


def test_what_was_over_long_ago_is_told_no_more() -> None:
    old = found(wall(3), wall(4))
    assert follow([], [old], wall(4) + RECENT).opened == [old]
    late = follow([], [old], wall(4) + RECENT + timedelta(hours=1))
    assert (late.opened, late.lasting, late.closed) == ([], [], [])


def test_what_turns_out_to_be_over_long_ago_is_closed_and_is_not_what_came_after() -> None:
    over, other = found(wall(3), wall(4)), found(wall(19))
    changes = follow([found(wall(3))], [over, other], NOW)
    assert (changes.opened, changes.lasting, changes.closed) == ([other], [], [over])


def test_an_analysis_that_is_off_finds_nothing() -> None:
    seen = history(hours(lambda _: 30, 3), now=wall(4))
    water = defaults(Medium.COLD_WATER, "m³")
    assert codes(analyse(seen, water)) == ["continuous_flow", "data_missing"]
    off = configure(Medium.COLD_WATER, "m³", {"continuous_flow": None})
    assert codes(analyse(seen, off)) == ["data_missing"]
    assert analyse(seen, Analyses()) == []


# -- settings


def switched_on(medium: Medium, unit: str) -> set[str]:
    chosen = msgspec.structs.asdict(defaults(medium, unit))
    return {code for code, one in chosen.items() if one is not None}


def test_a_medium_has_the_analyses_that_make_sense_of_it() -> None:
    always = {"reverse_flow", "unusual_consumption", "data_missing"}
    assert switched_on(Medium.COLD_WATER, "m³") == set(Analyses.__struct_fields__)
    assert switched_on(Medium.ELECTRICITY, "Wh") == always | {"night_flow", "standstill"}
    assert switched_on(Medium.GAS, "m³") == switched_on(Medium.HEAT, "Wh") == always
    assert switched_on(Medium.OIL, "m³") == {"data_missing"}


def test_defaults_are_valid_and_survive_being_stored() -> None:
    for medium, unit in DEFAULTS:
        chosen = configure(medium, unit, {})
        assert chosen == defaults(medium, unit)
        assert msgspec.json.decode(msgspec.json.encode(chosen), type=Analyses) == chosen


def test_what_is_given_replaces_only_that() -> None:
    water = defaults(Medium.COLD_WATER, "m³")
    chosen = configure(
        Medium.COLD_WATER, "m³", {"continuous_flow": {"hours": 48}, "standstill": None}
    )
    assert chosen.continuous_flow is not None
    assert (chosen.continuous_flow.hours, chosen.standstill) == (48, None)
    assert chosen.continuous_flow.threshold == Decimal("0.001")
    assert chosen.night_flow == water.night_flow
    gas = configure(Medium.GAS, "m³", {"continuous_flow": {"threshold": "0.01"}})
    assert gas.continuous_flow is not None
    assert (gas.continuous_flow.hours, gas.continuous_flow.threshold) == (24, Decimal("0.01"))


MISTAKES = {
    "leak": ({"leak": {}}, "unknown field `leak`"),
    "unknown": ({"night_flow": {"hour": 1}}, "^night_flow: .*unknown field `hour`"),
    "hours": ({"continuous_flow": {"hours": 1}}, "^continuous_flow.hours: .*>= 2"),
    "type": ({"standstill": {"hours": "72"}}, "^standstill.hours: Expected `int`"),
    "threshold": (
        {"continuous_flow": {"threshold": "0"}},
        "^continuous_flow: threshold: .*above 0",
    ),
    "infinite": ({"night_flow": {"least": "Infinity"}}, "^night_flow: least: .*at least 0"),
    "nan": ({"standstill": {"threshold": "NaN"}}, "^standstill: threshold: .*at least 0"),
    "negative": ({"unusual_consumption": {"least": "-1"}}, "^unusual_consumption: least: .* 0"),
    "window": ({"night_flow": {"from_hour": 4}}, "^night_flow: until_hour: .*after from_hour"),
    "nights": ({"night_flow": {"least_nights": 40}}, "^night_flow: least_nights: "),
    "weeks": ({"unusual_consumption": {"weeks": 3}}, "^unusual_consumption: least_weeks: "),
    "jitter": ({"reverse_flow": {"jitter": "9"}}, "^reverse_flow: jitter: .*less than largest"),
    "largest": ({"reverse_flow": {"largest": "-1"}}, "^reverse_flow: largest: .*above 0"),
    "no table": ({"data_missing": 7}, "^data_missing: Expected `object"),
}


@pytest.mark.parametrize(("given", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_settings_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure(Medium.COLD_WATER, "m³", given)


def test_what_is_needed_of_an_analysis_that_is_off_by_default_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^continuous_flow: .*required field `threshold`"):
        configure(Medium.GAS, "m³", {"continuous_flow": {}})
