"""A simulated M-Bus meter, without I/O: frames in, frames out (EN 13757-2 and -3)."""

from typing import Final

from msgspec import Struct

from edge_agent.protocols.mbus import encode, link
from edge_agent.protocols.mbus.header import Header, manufacturer_code
from edge_agent.protocols.mbus.selection import Secondary, parse_selection
from edge_agent.simulators.mbus_records import RecordSource

IDLE_MS: Final = 60_000
"""A slave that nobody asked for so long starts again at its first telegram."""
BAUD_TRIAL_MS: Final = 120_000
"""It takes its old baud rate again when it hears nothing good at the new one for so long
(EN 13757-2: within two to ten minutes)."""
APPLICATION_RESET: Final = 0x50
DATA_SEND: Final = 0x51
SET_BAUD: Final = 0xB8
BAUD_RATES: Final = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400)
"""Those of CI B8 to BF."""
SET_ADDRESS: Final = b"\x01\x7a"
"""The record that sets the primary address: DIF 01, VIF 7A."""


class Identity(Struct, frozen=True):
    """What a long header says of a meter: 8 digits, three letters, version, medium code."""

    identification: str
    manufacturer: str
    version: int
    medium: int

    @property
    def secondary(self) -> Secondary:
        """What a selection is compared with."""
        maker = manufacturer_code(self.manufacturer)
        rest = (maker & 0xFF, maker >> 8, self.version, self.medium)
        return Secondary(self.identification, rest)


class Memory:
    """What a slave remembers of a master, for its own address or for 253 (EN 13757-2, 5.5)."""

    def __init__(self) -> None:
        self.fcb: bool | None = None
        self.position = 0
        self.last = b""

    def clear(self) -> None:
        """The next telegram is the first."""
        self.fcb, self.position, self.last = None, 0, b""


class Slave:
    """One meter on the bus.

    The same frame count bit as before repeats the last telegram, a toggled one gives the next;
    FCV = 0 always gives the next. ``latency_bits`` is how many bit times it takes to answer
    (11 to 330): meters that answer together collide bit by bit.
    """

    def __init__(
        self, address: int, identity: Identity, source: RecordSource, *, latency_bits: int = 11
    ) -> None:
        self.address = address
        self.identity = identity
        self.status = 0
        self.baud = 2400
        self.selected = False
        self.latency_bits = latency_bits
        self._source = source
        self._access = 0
        self._own = Memory()
        self._as_selected = Memory()
        self._asked_ms: int | None = None
        self._baud_before = self.baud
        self._trial_ends_ms: int | None = None

    def restart(self) -> None:
        """Forget all masters: not selected, and the next telegram is the first."""
        self.selected = False
        self._forget()

    def hears(self, baud: int, at_ms: int) -> bool:
        """Whether a good frame at this baud rate is one for the slave too."""
        if self._trial_ends_ms is not None and at_ms >= self._trial_ends_ms:
            self.baud, self._trial_ends_ms = self._baud_before, None
        if baud != self.baud:
            return False
        self._trial_ends_ms = None
        return True

    def answer(self, frame: link.Frame, at_ms: int) -> bytes:
        """The answer to a frame on the bus; empty when the slave stays silent."""
        if isinstance(frame, link.Ack) or not frame.from_master:
            return b""
        if frame.address == link.SELECTED:
            return self._answer_selected(frame, at_ms)
        everybody = {link.BROADCAST, link.BROADCAST_WITH_ANSWER}
        if frame.address != self.address and frame.address not in everybody:
            return b""
        answer = self._answer(frame, self._own, at_ms)
        return b"" if frame.address == link.BROADCAST else answer

    def _answer_selected(self, frame: link.ShortFrame | link.LongFrame, at_ms: int) -> bytes:
        mask = parse_selection(frame) if isinstance(frame, link.LongFrame) else None
        if mask is not None:
            self.selected = mask.fits(self.identity.secondary)
            self._as_selected.clear()
            return link.Ack().to_bytes() if self.selected else b""
        if not self.selected:
            return b""
        if frame.control == link.SND_NKE:
            self.selected = False
        return self._answer(frame, self._as_selected, at_ms)

    def _answer(self, frame: link.ShortFrame | link.LongFrame, memory: Memory, at_ms: int) -> bytes:
        if self._asked_ms is not None and at_ms - self._asked_ms >= IDLE_MS:
            self._forget()
        self._asked_ms = at_ms
        ack = link.Ack().to_bytes()
        if isinstance(frame, link.LongFrame):
            user_data = frame.control & ~link.FCB == link.SND_UD
            return ack if user_data and self._obey(frame, at_ms) else b""
        if frame.control == link.SND_NKE:
            memory.clear()
            return ack
        request = frame.control | link.FCB | link.FCV
        if request == link.REQ_UD2 | link.FCB:
            return self._telegram(frame.control, memory, at_ms)
        # No alarm data of class 1 is ever waiting.
        return ack if request == link.REQ_UD1 | link.FCB else b""

    def _obey(self, frame: link.LongFrame, at_ms: int) -> bool:
        """Carry out what a master sent; whether it is acknowledged. All of it may be repeated."""
        if frame.ci == APPLICATION_RESET:
            self._forget()
        elif frame.ci == DATA_SEND:
            self._write(frame.data)
        elif SET_BAUD <= frame.ci < SET_BAUD + len(BAUD_RATES):
            self._baud_before, self.baud = self.baud, BAUD_RATES[frame.ci - SET_BAUD]
            self._trial_ends_ms = at_ms + BAUD_TRIAL_MS
        else:
            return False
        return True

    def _write(self, record: bytes) -> None:
        """Only the primary address can be written; the rest is acknowledged and ignored."""
        if record[:2] == SET_ADDRESS and len(record) == 3 and record[2] <= link.MAX_PRIMARY:
            self.address = record[2]

    def _forget(self) -> None:
        self._own.clear()
        self._as_selected.clear()

    def _telegram(self, control: int, memory: Memory, at_ms: int) -> bytes:
        fcb = bool(control & link.FCB)
        counted = bool(control & link.FCV)
        if counted and fcb is memory.fcb and memory.last:
            return memory.last
        telegrams = self._source.telegrams(at_ms)
        position = memory.position % len(telegrams)
        self._access = (self._access + 1) & 0xFF
        header = Header(
            access=self._access,
            status=self.status,
            identification=self.identity.identification,
            manufacturer=self.identity.manufacturer,
            version=self.identity.version,
            medium=self.identity.medium,
        )
        more_follows = position + 1 < len(telegrams)
        frame = encode.response(self.address, header, telegrams[position], more_follows)
        memory.position = position + 1
        memory.fcb = fcb if counted else memory.fcb
        memory.last = frame.to_bytes()
        return memory.last
