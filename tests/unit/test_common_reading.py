"""Values are exact: what goes in as a decimal comes out as the same decimal."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Undecodable
from common.reading import INT64_MAX, from_scaled, to_scaled


@given(st.integers(-INT64_MAX, INT64_MAX), st.integers(0, 9))
def test_a_scaled_integer_survives_the_way_through_decimal(scaled: int, decimals: int) -> None:
    assert to_scaled(from_scaled(scaled, decimals), decimals) == scaled


@pytest.mark.parametrize(
    ("text", "decimals", "scaled"),
    [
        ("1.2399", 2, 123),
        ("-1.2399", 2, -123),
        ("1E3", 0, 1000),
        ("1E-30", 3, 0),
        ("0", 3, 0),
        ("9223372036854775.807", 3, INT64_MAX),
    ],
)
def test_digits_that_do_not_fit_are_cut_off_towards_zero(
    text: str, decimals: int, scaled: int
) -> None:
    assert to_scaled(Decimal(text), decimals) == scaled


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "9223372036854775808", "1E999"])
def test_a_value_that_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(Undecodable):
        to_scaled(Decimal(text), 0)


def test_a_scaled_value_shows_all_its_decimals() -> None:
    assert str(from_scaled(1500, 3)) == "1.500"
    assert str(from_scaled(-5, 3)) == "-0.005"
