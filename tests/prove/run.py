"""A storm over a fleet, from its beginning to the books."""

import contextlib
import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TextIO

from tests.harness.books import read_journal
from tests.harness.eventually import eventually
from tests.prove.blows import Hands, Heal, available
from tests.prove.books import Books, close_books, last_values, world_index
from tests.prove.fleet import CLOUD, Fleet, Gateway, fleet
from tests.prove.storm import LEAD_S, Blow, Order, orders, plan

TURNS_ON_S = 5.0
"""So long the world goes on after the storm."""

COMMANDS_S = 180
"""An order is good for 8 s at most, and called unconfirmed 30 s later; a dispatcher whose database
connection the network has forgotten waits 60 s."""

CATCH_UP_S = 180
"""A module that found nobody comes back within 60 s."""

OPEN = "SELECT id, state FROM command WHERE state IN ('pending', 'sent', 'accepted')"


@dataclass(frozen=True, slots=True)
class Proof:
    """How it went."""

    seed: str
    seconds: float
    gateways: int
    settled_s: float
    blows: tuple[Blow, ...]
    counted: dict[str, int]
    books: Books

    def figures(self) -> dict[str, object]:
        """What is written down of a run."""
        books = self.books
        return {
            "line": books.line(),
            "seed": self.seed,
            "storm_s": self.seconds,
            "gateways": self.gateways,
            "settled_s": round(self.settled_s, 1),
            "faults": dict(sorted(Counter(one.fault.name for one in self.blows).items())),
            **self.counted,
            "entries": books.entries,
            "readings": books.readings,
            "lost": len(books.lost),
            "doubled": len(books.doubled),
            "explained": dict(books.explained),
            "commands": dict(sorted(books.states.items())),
            "by_rules": dict(sorted(books.by_rules.items())),
            "twice": len(books.twice),
            "wrong": len(books.wrong),
        }


@dataclass(frozen=True, slots=True)
class Calm:
    """After the storm: nothing runs any more that writes, and the database still answers."""

    fleet: Fleet
    blows: tuple[Blow, ...]
    counted: dict[str, int]
    settled_s: float


@contextlib.contextmanager
def storm(
    directory: Path, seed: str, seconds: float, gateways: int, *, forked: bool = False
) -> Iterator[Calm]:
    """Run the storm of ``seed`` in ``directory``, which is made; ``forked`` as for ``Programs``.

    Raises AssertionError when the fleet does not come to rest.
    """
    turns_s = LEAD_S + seconds + TURNS_ON_S + 10
    with fleet(directory, seed, gateways, turns_s, forked=forked) as made:
        keys = list(made.gateways)
        blows = [one for one in plan(seed, seconds, keys) if available(one)]
        with (directory / "storm.log").open("w", buffering=1) as log:
            log.write(f"seed {seed}, {seconds:g} s, {gateways} gateways\n")
            log.writelines(f"plan {one.at_s:7.2f} {one}\n" for one in blows)
            made.start()
            hands = Hands(made, seed)
            _rage(made, hands, [*blows, *orders(seed, seconds, keys)], log)
            ended = time.monotonic()
            _settle(made, hands, log)
            settled_s = time.monotonic() - ended
        yield Calm(made, tuple(blows), hands.counted, settled_s)


def prove(directory: Path, seed: str, seconds: float, gateways: int) -> Proof:
    """The storm of ``seed``, and the books after it, which are also written to ``directory``."""
    with storm(directory, seed, seconds, gateways) as calm:
        books = close_books(calm.fleet)
    (directory / "books.txt").write_text(books.text() + "\n")
    return Proof(seed, seconds, gateways, calm.settled_s, calm.blows, calm.counted, books)


def _rage(made: Fleet, hands: Hands, planned: list[Blow | Order], log: TextIO) -> None:
    """Do everything at its time, counted from now on, or as soon after as the machine can."""
    begun = time.monotonic() + LEAD_S
    never = threading.Event()
    steps: list[tuple[float, int, Blow | Order | Heal]] = []
    steps += [(one.at_s, number, one) for number, one in enumerate(planned, 1)]
    heapq.heapify(steps)
    texts: dict[int, str] = {}
    while steps:
        at_s, number, step = heapq.heappop(steps)
        never.wait(max(0.0, begun + at_s - time.monotonic()))
        now_s = time.monotonic() - begun
        _mend(hands, log)
        match step:
            case Order():
                made.order(step)
            case Blow():
                heal = hands.strike(step)
                log.write(f"{now_s:12.2f} {step}\n")
                if heal is not None:
                    texts[-number] = str(step)
                    heapq.heappush(steps, (at_s + step.lasts_s, -number, heal))
            case _:
                step()
                log.write(f"{now_s:12.2f} healed {texts[number]}\n")


def _settle(made: Fleet, hands: Hands, log: TextIO) -> None:
    """The world stands still, what is on its way arrives, and then nobody writes any more."""

    def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        def look() -> bool:
            _mend(hands, log)
            return condition()

        eventually(look, timeout_s, what)
        log.write(f"{what}\n")

    made.clerk.shutdown()
    made.stop_rules()
    until(partial(_no_open_commands, made), COMMANDS_S, "every command is final")
    for one in made.gateways.values():
        until(partial(_shows_the_world, one), CATCH_UP_S, f"{one.key} shows what the world does")
        hands.retire(one.devices)
    for one in made.gateways.values():
        until(partial(_at_rest, made, hands, one), CATCH_UP_S, f"{one.key} has said everything")
    for name in CLOUD:
        hands.retire(made.programs[name])


def _mend(hands: Hands, log: TextIO) -> None:
    for name in hands.mend():
        log.write(f"{name} had ended, and is restarted\n")


def _no_open_commands(made: Fleet) -> bool:
    found = made.book.rows(OPEN)
    assert not found, found
    return True


def _shows_the_world(gateway: Gateway) -> bool:
    truth = gateway.site.truth()
    turning = [key for key, one in truth["meters"].items() if Decimal(one["present"])]
    assert not turning, f"the world still turns: {turning}"
    said, shown = last_values(read_journal(gateway.site.journal)), world_index(truth)
    assert said.items() >= shown.items(), f"{shown} and not {said}"
    return True


def _at_rest(made: Fleet, hands: Hands, gateway: Gateway) -> bool:
    """Whether the ledger has the whole journal, also once the agent is gone."""
    _check_whole(made, gateway)
    gateway.edge.kill9()
    try:
        _check_whole(made, gateway)
    except AssertionError:
        gateway.edge.start()  # it had one more thing to say
        raise
    hands.retire(gateway.edge)
    return True


def _check_whole(made: Fleet, gateway: Gateway) -> None:
    book = read_journal(gateway.site.journal)
    missing = made.book.committed(book.stream).missing(1, book.last)
    assert not missing, f"the ledger lacks {missing}"
