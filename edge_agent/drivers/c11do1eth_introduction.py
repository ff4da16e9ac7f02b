"""How a module introduces itself: HELLO, a challenge, its proof. No socket and no clock in here."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.protocols.c11do1eth import Auth, Chal, Frame, Hello, NakCode, is_proof

VERSION = 1


class Verdict(StrEnum):
    """What became of an introduction."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    WRONG_KEY = "wrong key"


@dataclass(frozen=True, slots=True)
class Caller:
    """A module that has introduced itself; ``address`` is host:port."""

    device: str
    model: str
    firmware: str
    address: str
    verdict: Verdict


class Rejected(Exception):
    """It is not let in. ``verdict`` is None where it has not even introduced itself."""

    def __init__(self, code: NakCode, why: str, verdict: Verdict | None = None) -> None:
        super().__init__(why)
        self.code = code
        self.verdict = verdict


class Introduction:
    """``secret_of`` gives the key of a configured module, None for any other name.

    ``hello`` is what the module has said of itself, ``name`` its name, ``-`` so far.
    """

    __slots__ = ("_nonce", "_secret_of", "hello")

    def __init__(self, secret_of: Callable[[str], bytes | None]) -> None:
        self._secret_of = secret_of
        self._nonce = b""
        self.hello: Hello | None = None

    @property
    def name(self) -> str:
        return self.hello.device if self.hello else "-"

    def take(self, frame: Frame) -> Chal | None:
        """What to answer; None when the module has proved its key. Raises Rejected."""
        if self.hello is None:
            return self._challenge(frame)
        if not isinstance(frame, Auth):
            raise Rejected(NakCode.MALFORMED, "expected AUTH")
        secret, hello = self._secret_of(self.name), self.hello
        if (
            secret is None
            or not is_proof(frame.proof, secret, hello.device, self._nonce, hello.boot)
            or frame.device != hello.device
        ):
            raise Rejected(NakCode.KEY, "wrong key", Verdict.WRONG_KEY)
        return None

    def _challenge(self, hello: Frame) -> Chal:
        if not isinstance(hello, Hello) or hello.version != VERSION:
            raise Rejected(NakCode.MALFORMED, f"expected HELLO of version {VERSION}")
        self.hello = hello
        if self._secret_of(hello.device) is None:
            raise Rejected(NakCode.UNKNOWN, "unknown device", Verdict.UNKNOWN)
        self._nonce = secrets.token_bytes(16)
        return Chal(hello.device, self._nonce)
