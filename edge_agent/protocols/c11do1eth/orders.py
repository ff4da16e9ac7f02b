"""What a command orders: verb, word and values, each with its limits (field.md §1, "Verbs").

The one table FORMS is the definition; docs/devices/c11do1eth.md repeats it for people.
"""

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.protocols.c11do1eth.fields import (
    SEQ,
    TIME,
    U32,
    U64,
    Choice,
    Field,
    Hex,
    Number,
    OptionalNumber,
    Token,
)


class Verb(StrEnum):
    """What a command orders; a device answers any verb that it does not know UNSUPPORTED."""

    OUT = "OUT"
    SAFE = "SAFE"
    SET = "SET"
    PRESET = "PRESET"
    READ = "READ"
    TIME = "TIME"
    REBOOT = "REBOOT"
    KEY = "KEY"


class Edge(StrEnum):
    """Which edge of the input is a pulse."""

    RISING = "rising"
    FALLING = "falling"


Values = tuple[int | str | bytes | None, ...]

SECONDS = Number(86_400, minimum=1)
LONG = Number(31_536_000)
"""Seconds, up to a year; 0 turns the analysis off."""

FORMS: dict[tuple[Verb, str], tuple[Field, ...]] = {
    (Verb.OUT, "ON"): (),
    (Verb.OUT, "OFF"): (),
    (Verb.OUT, "READ"): (),
    (Verb.OUT, "PULSE"): (Number(3_600_000, minimum=1),),
    (Verb.SAFE, "hold"): (Number(86_400),),
    (Verb.SAFE, "on"): (Number(86_400),),
    (Verb.SAFE, "off"): (Number(86_400),),
    (Verb.SET, "period"): (SECONDS,),
    (Verb.SET, "logperiod"): (SECONDS,),
    (Verb.SET, "delta"): (U32,),
    (Verb.SET, "debounce"): (Number(10_000),),
    (Verb.SET, "edge"): (Choice(Edge),),
    (Verb.SET, "weight"): (Number(10**18, minimum=1), Number(10**18, minimum=1)),
    (Verb.SET, "limit"): (U32,),
    (Verb.SET, "leak"): (LONG, SECONDS),
    (Verb.SET, "standstill"): (LONG,),
    (Verb.SET, "stuck"): (LONG,),
    (Verb.SET, "config"): (U32,),
    (Verb.PRESET, ""): (U64,),
    (Verb.READ, ""): (SEQ, SEQ),
    (Verb.TIME, ""): (OptionalNumber(TIME.maximum),),
    (Verb.REBOOT, ""): (),
    (Verb.KEY, ""): (Token(r"(?:[0-9A-F]{2}){16,32}"), Hex(8)),
}
"""Verb and word (nothing where the verb has none) → the fields behind them."""

READS = ((Verb.OUT, "READ"), (Verb.READ, ""))
"""Orders that change nothing: they are not among the answers that a device remembers."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One order as a value: ``Directive(Verb.SET, "leak", (3600, 900))``."""

    verb: Verb
    word: str = ""
    values: Values = ()

    def __str__(self) -> str:
        return " ".join((self.verb, *self.to_arguments()))

    @property
    def changes(self) -> bool:
        """Whether it does anything but ask."""
        reads = (self.verb, self.word) in READS or (self.verb is Verb.TIME and not any(self.values))
        return not reads

    def to_arguments(self) -> tuple[str, ...]:
        """The arguments on the wire; ValueError when a value is out of its range."""
        form = FORMS.get((self.verb, self.word))
        if form is None:
            raise ValueError(f"{self.verb} has no {self.word!r}")
        texts = [field.encode(one) for field, one in zip(form, self.values, strict=True)]
        return tuple(text for text in (self.word, *texts) if text)


def parse_directive(verb: str, arguments: tuple[str, ...]) -> Directive:
    """What a CMD orders; ValueError when it is none of the table's."""
    known = Verb(verb)
    word, texts = "", arguments
    if (known, "") not in FORMS:
        word, texts = "".join(arguments[:1]), arguments[1:]
    form = FORMS.get((known, word))
    if form is None:
        raise ValueError(f"{verb} has no {word[:40]!r}")
    if form and isinstance(form[-1], OptionalNumber) and len(texts) == len(form) - 1:
        texts = (*texts, "")
    values = tuple(field.decode(text) for field, text in zip(form, texts, strict=True))
    return Directive(known, word, tuple(_plain(value) for value in values))


def _plain(value: object) -> int | str | bytes | None:
    """A field's value by its plain type; a Choice's is a word."""
    if value is None or isinstance(value, int | bytes):
        return value
    return str(value)
