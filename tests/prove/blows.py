"""How each fault of the storm is made, and how it is healed."""

import contextlib
import resource
import threading
from collections.abc import Callable
from random import Random

import pymysql

from tests.harness.processes import Program
from tests.prove.fleet import DATABASE, LOCK_WAIT_S, Fleet, faketime
from tests.prove.storm import FAULTS, Blow

Heal = Callable[[], object]
"""Undoes a fault. What is over at once has nothing to undo."""

LOSS = 0.3
SLOW_BYTES_PER_S, SLOW_DELAY_S = 6_000, 0.3
ROOM = 65_536
"""Bytes by which an agent's log may still grow on a full disk: it has to say so."""

REPEATED = ("journal", "hello", "command", "ack", "resume")
"""What may come again at any time: all but the status, of which the broker keeps the last."""


class Hands:
    """Does to the fleet what the storm says, and restarts what ended of itself.

    ``counted``: what came of it, for the figures.
    """

    def __init__(self, fleet: Fleet, seed: str) -> None:
        self.counted: dict[str, int] = {"duplicates": 0, "deadlocks": 0, "restarts": 0}
        self._down: set[str] = set()
        self._fleet = fleet
        self._chance = Random(f"{seed}/hands")
        self._make: dict[str, Callable[[Blow], Heal | None]] = {
            "edge killed": lambda blow: self._kill(fleet.gateways[blow.target].edge),
            "simulator killed": lambda blow: self._kill(fleet.gateways[blow.target].devices),
            "ingest killed": lambda blow: self._kill(fleet.programs[blow.target]),
            "dispatch killed": lambda blow: self._kill(fleet.programs[blow.target]),
            "web killed": lambda blow: self._kill(fleet.programs[blow.target]),
            "broker killed": self._kill_broker,
            "broker forgets": self._wipe_broker,
            "database killed": self._kill_database,
            "database deadlocks": self._deadlock,
            "sessions killed": self._kill_sessions,
            "link cut": lambda blow: fleet.link(blow.target).cut(),
            "link dropped": lambda blow: fleet.link(blow.target).drop(),
            "link black hole": self._swallow,
            "packets lost": self._lose,
            "link slow": self._slow_down,
            "database cut": lambda _: fleet.base_link.cut(),
            "database dropped": lambda _: fleet.base_link.drop(),
            "disk full": self._fill_disk,
            "clock steps": self._step_clock,
            "duplicates": self._repeat,
        }
        assert self._make.keys() == {fault.name for fault in FAULTS}

    def strike(self, blow: Blow) -> Heal | None:
        """Make the fault; what heals it."""
        return self._make[blow.fault.name](blow)

    def mend(self) -> list[str]:
        """Be the service manager: start what has ended and was not killed; its name.

        A program of the cloud ends when the database is away while it starts.
        """
        ended = [
            one for one in self._fleet.programs if not one.running and one.name not in self._down
        ]
        for program in ended:
            program.start()
            self.counted["restarts"] += 1
        return [program.name for program in ended]

    def retire(self, program: Program) -> None:
        """Stop it for good."""
        self._down.add(program.name)
        program.stop()

    def _kill(self, program: Program) -> Heal:
        self._down.add(program.name)
        program.kill9()

        def heal() -> None:
            self._down.discard(program.name)
            program.start()

        return heal

    def _kill_broker(self, _: Blow) -> Heal:
        self._fleet.broker.kill()
        return self._fleet.broker.start

    def _wipe_broker(self, _: Blow) -> Heal:
        self._fleet.broker.kill()
        self._fleet.broker.forget()
        return self._fleet.broker.start

    def _kill_database(self, _: Blow) -> Heal:
        self._fleet.database.kill()
        return self._fleet.database.start

    def _kill_sessions(self, _: Blow) -> None:
        with contextlib.suppress(pymysql.Error), _session(self._fleet) as session:
            cursor = session.cursor()
            cursor.execute(
                "SELECT id FROM information_schema.processlist"
                " WHERE id <> connection_id() AND db = %s",
                (DATABASE,),
            )
            for (number,) in cursor.fetchall():
                with contextlib.suppress(pymysql.Error):
                    cursor.execute(f"KILL CONNECTION {int(number)}")

    def _deadlock(self, _: Blow) -> Heal:
        return self._beside(self._lock_the_other_way_round)

    def _lock_the_other_way_round(self, over: threading.Event) -> None:
        """Ledger first, then gateways, which ingest locks first; and once, hold them for long.

        The scratch table makes the session the dearer one to undo, so that ingest is the victim.
        """
        while not over.is_set():
            with contextlib.suppress(pymysql.Error), _session(self._fleet) as session:
                cursor = session.cursor()
                cursor.execute("CREATE TABLE IF NOT EXISTS scratch (n int PRIMARY KEY, m int)")
                cursor.execute("INSERT IGNORE INTO scratch SELECT seq, 0 FROM seq_1_to_500")
                session.commit()
                while not over.is_set():
                    cursor.execute("BEGIN")
                    cursor.execute("UPDATE scratch SET m = m + 1")
                    cursor.execute("SELECT * FROM ledger FOR UPDATE")
                    over.wait(0.05)
                    cursor.execute("SELECT id FROM gateway ORDER BY id DESC FOR UPDATE")
                    over.wait(self._chance.choice((0.0, 0.0, 0.0, LOCK_WAIT_S + 0.5)))
                    session.rollback()
                    over.wait(0.05)
                cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
                self.counted["deadlocks"] += int(cursor.fetchall()[0][1])
                cursor.execute("FLUSH GLOBAL STATUS")
            over.wait(0.2)

    def _swallow(self, blow: Blow) -> Heal:
        link = self._fleet.link(blow.target)
        link.black_hole()
        return link.resume

    def _lose(self, blow: Blow) -> Heal:
        link = self._fleet.link(blow.target)
        link.lose(LOSS)
        return lambda: link.lose(0)

    def _slow_down(self, blow: Blow) -> Heal:
        link = self._fleet.link(blow.target)
        link.slow_down(SLOW_BYTES_PER_S)
        link.delay(SLOW_DELAY_S)

        def heal() -> None:
            link.slow_down(0)
            link.delay(0)

        return heal

    def _fill_disk(self, blow: Blow) -> Heal | None:
        """Nothing is written beyond the end of the log, and a little: the journal is longer."""
        gateway = self._fleet.gateways[blow.target]
        if not gateway.edge.running:
            return None
        pid, size = gateway.edge.pid, gateway.edge.log.stat().st_size + ROOM
        _limit_files(pid, size)
        return lambda: _limit_files(pid, resource.RLIM_INFINITY)

    def _step_clock(self, blow: Blow) -> Heal | None:
        gateway = self._fleet.gateways[blow.target]
        gateway.step_clock(blow.value)
        return lambda: gateway.step_clock(0)

    def _repeat(self, _: Blow) -> Heal:
        return self._beside(self._say_again)

    def _say_again(self, over: threading.Event) -> None:
        while not over.wait(0.05):
            for one in self._fleet.tap.some(self._chance, REPEATED, 3):
                self._fleet.tap.toss(one.topic, one.payload)
                self.counted["duplicates"] += 1

    def _beside(self, work: Callable[[threading.Event], None]) -> Heal:
        """Run ``work`` in a thread until it is healed."""
        over = threading.Event()
        thread = threading.Thread(target=work, args=(over,), daemon=True)
        thread.start()

        def heal() -> None:
            over.set()
            thread.join()

        return heal


def available(blow: Blow) -> bool:
    """Whether this machine can do it: only a step of the clock needs what may not be there."""
    return blow.fault.busy != "clock" or faketime() is not None


def _session(fleet: Fleet) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    return pymysql.connect(
        host="127.0.0.1",
        port=fleet.database.port,
        user="root",
        database=DATABASE,
        connect_timeout=2,
        read_timeout=10,
    )


def _limit_files(pid: int, size: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
