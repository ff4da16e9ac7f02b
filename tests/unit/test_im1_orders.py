"""Orders on the wire: every form of the table, its limits, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.protocols.c11do1eth import (
    Cmd,
    Directive,
    Rsp,
    Verb,
    parse,
    parse_directive,
    unwrap_key,
    wrap_key,
)
from edge_agent.protocols.c11do1eth.fields import Choice, Hex, Number, OptionalNumber, Token
from edge_agent.protocols.c11do1eth.orders import FORMS, Edge
from edge_agent.simulators.c11do1eth_core import C11Core
from edge_agent.simulators.c11do1eth_orders import Orders
from tests.unit.test_im1_document import DOCUMENT, EXAMPLES
from tests.unit.test_im1_frames import ARGUMENTS

COMMAND = "0191d2c85b7a7c3e9f00112233445566"
OLD, NEW = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"


def values(field: object) -> st.SearchStrategy[object]:
    if isinstance(field, OptionalNumber):
        return st.none() | st.integers(field.minimum, field.maximum)
    if isinstance(field, Number):
        return st.integers(field.minimum, field.maximum)
    if isinstance(field, Choice):
        return st.sampled_from([edge.value for edge in Edge])
    if isinstance(field, Hex):
        return st.binary(min_size=field.length, max_size=field.length)
    assert isinstance(field, Token)
    return st.binary(min_size=16, max_size=32).map(lambda key: key.hex().upper())


DIRECTIVES = st.sampled_from(list(FORMS)).flatmap(
    lambda form: st.tuples(*map(values, FORMS[form])).map(
        lambda found: Directive(form[0], form[1], found)
    )
)


@given(DIRECTIVES)
def test_every_order_comes_back_from_its_line(directive: Directive) -> None:
    arguments = directive.to_arguments()
    line = Cmd("m1", COMMAND, 5, directive.verb, arguments).to_line()
    command = parse(line[:-2])
    assert isinstance(command, Cmd)
    assert parse_directive(command.verb, command.arguments) == directive


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("PULSE", ("5",)),
        ("OUT", ()),
        ("OUT", ("ON", "1")),
        ("OUT", ("PULSE",)),
        ("OUT", ("PULSE", "3600001")),
        ("SET", ("period", "0")),
        ("SET", ("period", "86401")),
        ("SET", ("weight", "1")),
        ("SET", ("weight", "1", "0")),
        ("SET", ("leak", "1", "0")),
        ("SET", ("edge", "FALLING")),
        ("PRESET", ("18446744073709551616",)),
        ("READ", ("0", "5")),
        ("TIME", ("1", "2")),
        ("REBOOT", ("1",)),
        ("KEY", ("AA", "00" * 8)),
        ("KEY", ("aa" * 16, "00" * 8)),
    ],
)
def test_what_is_not_in_the_table_is_no_order(verb: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_directive(verb, arguments)


@given(st.sampled_from([*(verb.value for verb in Verb), "NEWS"]), ARGUMENTS)
def test_no_order_at_all_breaks_the_device(verb: str, arguments: tuple[str, ...]) -> None:
    core = C11Core("m1", OLD, lambda _: 5)
    core.power_up(1_000)
    answer, *_ = core.receive(Cmd("m1", COMMAND, 2**45, verb, arguments), 2_000)
    assert isinstance(answer, Rsp)
    assert answer.to_line()
    core.tick(100_000)


@pytest.mark.parametrize(
    "directive",
    [
        Directive(Verb.OUT, "TOGGLE"),
        Directive(Verb.OUT, "PULSE", (0,)),
        Directive(Verb.SET, "debounce", (10_001,)),
        Directive(Verb.SET, "debounce", ()),
        Directive(Verb.SET, "edge", ("both",)),
        Directive(Verb.READ, "", (1, None)),
    ],
)
def test_what_cannot_be_ordered_cannot_be_sent(directive: Directive) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        directive.to_arguments()


def test_only_questions_are_left_out_of_what_a_device_remembers() -> None:
    asks = {(verb, word) for verb, word in FORMS if not Directive(verb, word).changes}
    assert asks == {(Verb.OUT, "READ"), (Verb.READ, ""), (Verb.TIME, "")}
    assert Directive(Verb.TIME, "", (5,)).changes


def test_the_document_has_every_order_with_its_limits() -> None:
    assert f"keeps its last {Orders.REMEMBERED} answers" in DOCUMENT
    lines = [line.split("|")[1:-1] for line in DOCUMENT.splitlines() if line[:1] == "|"]
    rows = [[cell.strip() for cell in line] for line in lines if len(line) == 5]
    for (verb, word), form in FORMS.items():
        limits = [row[2] for row in rows if row[0] == verb and word in re.split(r"[ ,]+", row[1])]
        limits += [row[2] for row in rows if row[0] == verb and not word]
        assert limits, f"{verb} {word} is not in the document"
        for field in form:
            if type(field) is Number and field.maximum < 2**32 - 1:
                highest = "10¹⁸" if field.maximum == 10**18 else field.maximum
                written = f"{field.minimum}..{highest}"
                assert any(written in one for one in limits), f"{verb} {word} {written}"


def test_a_new_key_is_read_by_who_knows_the_old_one_and_by_nobody_else() -> None:
    wrapped, check = wrap_key(OLD, "m1", COMMAND, NEW)
    assert NEW.hex().upper() not in wrapped
    assert unwrap_key(OLD, "m1", COMMAND, wrapped, check) == NEW
    assert unwrap_key(NEW, "m1", COMMAND, wrapped, check) is None
    assert unwrap_key(OLD, "m2", COMMAND, wrapped, check) is None
    assert unwrap_key(OLD, "m1", "0" * 32, wrapped, check) is None
    assert unwrap_key(OLD, "m1", COMMAND, wrapped, bytes(8)) is None
    for length in (15, 33):
        with pytest.raises(ValueError, match="16 to 32"):
            wrap_key(OLD, "m1", COMMAND, b"x" * length)


def test_the_documents_key_is_the_one_that_it_says() -> None:
    [command] = [one for one in map(parse, map(str.encode, EXAMPLES))
                 if isinstance(one, Cmd) and one.verb == Verb.KEY]  # fmt: skip
    wrapped, check = command.arguments
    found = unwrap_key(OLD, "m1", command.command, wrapped, bytes.fromhex(check))
    assert found == NEW
    assert NEW.decode() in DOCUMENT
