"""Runs of what proves, what is usual, and local days."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cloud.domain.analyses import Hour
from cloud.domain.analyses.evidence import Run, Usual, runs, usual
from cloud.domain.analyses.history import plain
from common.registers import Medium
from tests.unit.analyses_parts import MISSING, history, hours

PROOFS = {
    "nothing": ("", []),
    "too few": ("11", []),
    "enough": ("0111", [Run(1, 3, 3)]),
    "and over": ("01110", [Run(1, 3, 3, over=True)]),
    "with something unknown": ("1?1?1", [Run(0, 4, 3)]),
    "with too much unknown": ("11???11", []),
    "anew after too much unknown": ("1???111", [Run(4, 6, 3)]),
    "unknown after enough": ("111????1", [Run(0, 7, 4)]),
    "unknown at the end": ("111????", [Run(0, 2, 3)]),
    "two": ("111011101", [Run(0, 2, 3, over=True), Run(4, 6, 3, over=True)]),
}


@pytest.mark.parametrize(("proofs", "expected"), PROOFS.values(), ids=PROOFS)
def test_runs_of_three(proofs: str, expected: list[Run]) -> None:
    known = {"0": False, "1": True, "?": None}
    assert runs([known[proof] for proof in proofs], 3, 2) == expected


def test_single_strange_values_do_not_move_what_is_usual() -> None:
    values = [Decimal(value) for value in (12, 8, 10, 11, 9)]
    assert usual(values) == Usual(Decimal(10), Decimal("1.4826"), Decimal(12), 5)
    strange = usual([*values, Decimal(1000)])
    assert (strange.middle, strange.scatter) == (
        Decimal("10.5"),
        Decimal("1.5") * Decimal("1.4826"),
    )


def test_one_of_twenty_may_be_higher_than_high() -> None:
    assert usual([Decimal(value) for value in range(1, 21)]).high == 19
    assert usual([Decimal(value) for value in range(1, 20)]).high == 19


def test_a_day_is_whole_when_all_of_it_is_there() -> None:
    seen = hours(lambda _: 1, 3)
    assert [day.whole for day in history(seen).days] == [True, True, True]
    assert [day.whole for day in history(seen[1:-1]).days] == [False, True, False]
    one_day: list[Hour] = seen[1:20]
    assert [day.whole for day in history(one_day).days] == [False]
    assert history(seen, now=seen[0].start).days == []


def test_hours_that_lack_at_the_end_are_there_without_a_quantity() -> None:
    seen = hours(lambda _: 1, 1)
    late = history(seen, now=seen[-1].end + timedelta(minutes=150)).over
    assert [hour.quantity for hour in late[-3:]] == [seen[-1].quantity, MISSING, MISSING]
    assert late[-2].start == seen[-1].end


@pytest.mark.parametrize(
    ("medium", "quantity", "expected"),
    [
        (Medium.COLD_WATER, "0.0125", "12.5 l"),
        (Medium.COLD_WATER, "1.25", "1.25 m³"),
        (Medium.GAS, "0.0126", "0.013 m³"),
        (Medium.COLD_WATER, "120.4", "120 m³"),
        (Medium.COLD_WATER, "0", "0 l"),
        (Medium.ELECTRICITY, "999", "999 Wh"),
        (Medium.ELECTRICITY, "3450", "3.45 kWh"),
    ],
)
def test_quantities_are_told_as_people_read_them(
    medium: Medium, quantity: str, expected: str
) -> None:
    assert history([], medium=medium).amount(Decimal(quantity)) == expected


def test_evidence_has_no_exponents() -> None:
    assert [plain(Decimal(text)) for text in ("1E+3", "1E-6", "0.1000", "-0.5", "100")] == [
        "1000", "0.000001", "0.1", "-0.5", "100",
    ]  # fmt: skip
