"""The proof that a device knows its key, and a new key, without either on the wire."""

import hashlib
import hmac

CHECK_BYTES = 8


def prove(key: bytes, device: str, nonce: bytes, boot: int) -> bytes:
    """HMAC-SHA256 over ``device,NONCE,boot`` (ASCII; nonce in upper-case hex, boot in decimal).

    A device name has no comma, so no two inputs give the same text; the server's fresh nonce
    makes a recorded proof worthless.
    """
    text = f"{device},{nonce.hex().upper()},{boot}"
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).digest()


def is_proof(proof: bytes, key: bytes, device: str, nonce: bytes, boot: int) -> bool:
    """Whether ``proof`` is the right one; takes the same time wherever it differs."""
    return hmac.compare_digest(proof, prove(key, device, nonce, boot))


def wrap_key(old: bytes, device: str, command: str, new: bytes) -> tuple[str, bytes]:
    """A new key of 16 to 32 bytes as the arguments of KEY: upper-case hex, and a check.

    The key is XORed with HMAC-SHA256(old key, ``KEY,device,command``): a command id is used once,
    and so is the pad. The check is the first 8 bytes of HMAC-SHA256(new key, the same text): who
    does not know the old key can neither read a new one nor make one up.
    """
    if not 16 <= len(new) <= 32:
        raise ValueError("a key has 16 to 32 bytes")
    return _masked(old, device, command, new).hex().upper(), _check(new, device, command)


def unwrap_key(old: bytes, device: str, command: str, wrapped: str, check: bytes) -> bytes | None:
    """The new key, or None when the order was not made with ``old``."""
    new = _masked(old, device, command, bytes.fromhex(wrapped))
    return new if hmac.compare_digest(_check(new, device, command), check) else None


def _masked(old: bytes, device: str, command: str, data: bytes) -> bytes:
    pad = hmac.new(old, f"KEY,{device},{command}".encode("ascii"), hashlib.sha256).digest()
    return bytes(one ^ other for one, other in zip(data, pad, strict=False))


def _check(new: bytes, device: str, command: str) -> bytes:
    text = f"KEY,{device},{command}".encode("ascii")
    return hmac.new(new, text, hashlib.sha256).digest()[:CHECK_BYTES]
