"""The books after the storm: world = registers = journal = ledger = database; commands once."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cloud.domain.lifecycle import OPEN
from cloud.services.journal import SECOND
from common.messages.uplink import Event
from tests.harness.books import CloudBook, JournalBook, Key, read_journal
from tests.harness.site import METERS, MODULES, ROOF
from tests.prove.fleet import Fleet, Gateway

STEP_WH = {"electricity-hall": 1, "electricity-main": 10}
"""In what steps the registers of the polled meters count."""

INDEXES = ("volume", "energy_import")
RESULTS = ("succeeded", "failed", "rejected", "expired")
SHOWN = 20

Name = tuple[str, str]
"""Device, register."""

HEARD = re.compile(r"^c11do1eth (\S+) hears OUT (?:ON|OFF) of (\S+)$", re.MULTILINE)
"""A simulated module says so before it looks at an order: what it is told twice stands there twice,
whoever was killed meanwhile."""


@dataclass(slots=True)
class Books:
    """What was found. Everything in ``lost``, ``doubled``, ``twice`` and ``wrong`` is a breach;
    ``explained`` counts by reason, ``states`` all commands, ``by_rules`` those that a rule gave."""

    entries: int = 0
    commands: int = 0
    readings: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    by_rules: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    registers: list[str] = field(default_factory=list)

    @property
    def balance(self) -> bool:
        return not (self.lost or self.doubled or self.twice or self.wrong)

    def line(self) -> str:
        """The one line."""
        return (
            f"entries {self.entries}, lost {len(self.lost)}, doubled {len(self.doubled)},"
            f" explained {self.explained.total()}; commands {self.commands},"
            f" twice {len(self.twice)}"
        )

    def text(self) -> str:
        """All of it, for people."""
        breaches = {"LOST": self.lost, "DOUBLED": self.doubled, "TWICE": self.twice}
        breaches["WRONG"] = self.wrong
        lines = list(self.registers)
        lines += [f"explained: {reason}: {count}" for reason, count in self.explained.items()]
        lines += [f"commands {state}: {count}" for state, count in self.states.items()]
        lines += [f"of these by rules {state}: {count}" for state, count in self.by_rules.items()]
        for name, found in breaches.items():
            lines += [f"{name}: {one}" for one in found[:SHOWN]]
            lines += [f"{name}: … {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        return "\n".join([*lines, self.line()])


def close_books(fleet: Fleet) -> Books:
    """Compare everything. Nothing may run any more that writes; the database still answers."""
    books = Books()
    reported: dict[str, list[str]] = {}
    for gateway in fleet.gateways.values():
        journal = read_journal(gateway.site.journal)
        _Gateway(books, gateway, journal, fleet.book).compare()
        for report in journal.reports():
            reported.setdefault(report.id, []).append(report.state)
    _compare_commands(books, fleet, reported)
    return books


def world_index(truth: Mapping[str, Any]) -> dict[Name, int]:
    """What each counting register has to show, scaled (litres, Wh), and each output."""
    found = {
        (one.key, "volume"): one.start + truth["pulses"][one.key] * one.weight for one in MODULES
    }
    for key, _ in METERS:
        index = int(Decimal(truth["meters"][key]["index"]))
        found[key, "energy_import"] = index // STEP_WH[key] * STEP_WH[key]
    found[ROOF] = truth["outputs"]["/".join(ROOF)]
    return found


def last_values(journal: JournalBook) -> dict[Name, int | None]:
    """Of each register, the value that the journal says last (a clock may have gone back)."""
    newest: dict[Name, tuple[int, Key]] = {}
    for key, seq in journal.numbers.items():
        register = key[:2]
        newest[register] = max(newest.get(register, (0, key)), (seq, key))
    found: dict[Name, int | None] = {}
    for register, (_, key) in newest.items():
        values = {value for value, _, _ in journal.readings[key]}
        found[register] = values.pop() if len(values) == 1 else None
    return found


class _Gateway:
    """One gateway's part of the books."""

    def __init__(
        self, books: Books, gateway: Gateway, journal: JournalBook, cloud: CloudBook
    ) -> None:
        self._books = books
        self._gateway = gateway
        self._key = gateway.key
        self._journal = journal
        self._cloud = cloud
        self._excused = self._explained()

    def compare(self) -> None:
        self._books.entries += len(self._journal.entries)
        self._compare_ledger()
        self._compare_readings()
        self._compare_events()
        self._compare_world()

    def _explained(self) -> dict[int, str]:
        """Entries that are not wholly in the database, each with the reason that the cloud has."""
        excused: dict[int, str] = {}
        for first, last, reason in self._cloud.explained(self._journal.stream):
            short = SECOND if reason.endswith(SECOND) else reason
            self._books.explained[short] += last - first + 1
            excused |= dict.fromkeys(range(first, last + 1), short)
        return excused

    def _compare_ledger(self) -> None:
        """The journal is whole, but for what it has given up; the ledger has all of it."""
        journal = self._journal
        given_up = {seq for first, last, _ in journal.lost for seq in range(first, last + 1)}
        holes = set(range(1, journal.last + 1)) - journal.entries.keys() - given_up
        self._books.lost += [f"{self._key}: the journal has no entry {seq}" for seq in holes]
        self._books.lost += [
            f"{self._key}: the gateway gave entry {seq} up, and the cloud does not say so"
            for seq in given_up - self._excused.keys()
        ]
        committed = self._cloud.committed(journal.stream)
        for first, last in committed.missing(1, journal.last):
            self._books.lost += [
                f"{self._key}: the ledger lacks entry {seq}" for seq in range(first, last + 1)
            ]
        if committed.last() > journal.last:
            self._books.doubled.append(
                f"{self._key}: the ledger has {committed.last()}, the journal {journal.last}"
            )

    def _compare_readings(self) -> None:
        """Journal and database, register by register."""
        stored = self._cloud.readings(self._key)
        said = self._journal.readings
        lost, doubled = Counter[Name](), Counter[Name]()
        self._books.readings += len(stored)
        for key, contents in said.items():
            register, seq = key[:2], self._journal.numbers[key]
            if key in stored:
                if stored[key] not in contents:
                    doubled[register] += 1
                    text = f"{self._key}: {key} is {stored[key]}, not {contents}"
                    self._books.doubled.append(text)
                for content, number in contents.items():
                    if content == stored[key]:
                        continue
                    if self._excused.get(number) != SECOND:
                        lost[register] += 1
                        text = f"{self._key}: entry {number}: {key} is {stored[key]}, unexplained"
                        self._books.lost.append(text)
            elif self._excused.get(seq, SECOND) == SECOND:
                lost[register] += 1
                self._books.lost.append(f"{self._key}: entry {seq}: {key} is not stored")
        for key in stored.keys() - said.keys():
            doubled[key[:2]] += 1
            self._books.doubled.append(f"{self._key}: {key} is stored, and nobody said it")
        counts = [Counter(key[:2] for key in one) for one in (said, stored)]
        for register in sorted(counts[0].keys() | counts[1].keys()):
            numbers = [one[register] for one in (*counts, lost, doubled)]
            self._books.registers.append(
                "{}: {}: journal {}, database {}, lost {}, doubled {}".format(
                    self._key, "/".join(register), *numbers
                )
            )

    def _compare_events(self) -> None:
        events: dict[int, Event] = self._journal.events()
        rows = self._cloud.rows(
            "SELECT e.seq, e.at, e.code, e.severity, e.text, e.device FROM event e"
            " JOIN stream s ON s.id = e.stream_id WHERE s.stream = %s",
            self._journal.stream,
        )
        seen: Counter[int] = Counter(int(str(row[0])) for row in rows)
        content = {int(str(row[0])): row[1:] for row in rows}
        for seq, one in events.items():
            expected = (one.at, one.code, one.severity, one.text, one.device)
            if seq not in seen and seq not in self._excused:
                self._books.lost.append(f"{self._key}: event {seq} is not stored: {one.code}")
            elif seq in seen and content[seq] != expected:
                self._books.doubled.append(f"{self._key}: event {seq}: {content[seq]}")
        for seq, count in seen.items():
            if count > 1 or seq not in events:
                self._books.doubled.append(f"{self._key}: event {seq} is stored {count} times")

    def _compare_world(self) -> None:
        """What the devices show is what the journal says last."""
        shown = world_index(self._gateway.site.truth())
        said = last_values(self._journal)
        for register, index in shown.items():
            if said.get(register) != index:
                name = f"{self._key}: {'/'.join(register)}"
                self._books.wrong.append(
                    f"{name}: the world says {index}, the journal {said.get(register)}"
                )


def _compare_commands(books: Books, fleet: Fleet, reported: Mapping[str, list[str]]) -> None:
    """Each was carried out at most once, and is in a final state, which is the gateway's word."""
    rows = fleet.book.rows("SELECT id, state, rule_id FROM command")
    states = {str(id_): str(state) for id_, state, _ in rows}
    books.commands = len(states)
    books.states = Counter(states.values())
    books.by_rules = Counter(str(state) for _, state, rule in rows if rule is not None)
    heard = orders_heard(fleet.gateways.values())
    for id_, count in heard.items():
        if count > 1:
            books.twice.append(f"command {id_} reached its module {count} times")
        if id_ not in states:
            books.wrong.append(f"command {id_} reached a module, and nobody gave it")
    for id_, state in states.items():
        results = [one for one in reported.get(id_, ()) if one in RESULTS]
        if state in OPEN:
            books.wrong.append(f"command {id_} is still {state}")
        elif results and state not in results:
            books.wrong.append(f"command {id_} is {state}; its gateway says {results}")


def orders_heard(gateways: Iterable[Gateway]) -> Counter[str]:
    """How often each order to an output reached its module, from what the devices have printed."""
    return Counter(id_ for one in gateways for _, id_ in HEARD.findall(one.devices.log_text()))
