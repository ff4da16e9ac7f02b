"""Encryption of the application layer: EN 13757-7:2018, security modes 5 and 7 (AES-128, CBC).

Needs PyCryptodome (the extra ``decryption``), which is loaded only when there is a key.
"""

from typing import Final

from msgspec import Struct

from common.errors import ConfigError, Undecodable

KEY_LENGTH: Final = 16
BLOCK: Final = 16
CLEAR: Final = b"\x2f\x2f"
"""Two idle fillers begin every text that is to be encrypted; so a wrong key is noticed."""

MODE_5: Final = 5
MODE_7: Final = 7
_FROM_METER: Final = b"\x00"
_NO_VECTOR: Final = bytes(BLOCK)


class Span(Struct, frozen=True):
    """Where in a body the encrypted blocks stand; ``length`` is 0 when they are in clear."""

    mode: int
    start: int
    length: int


class Sender(Struct, frozen=True):
    """What the vector and the key are made of; bytes as they stand in a header, low byte first.

    ``counter`` is the message counter of the authentication and fragmentation layer (mode 7).
    """

    identification: bytes
    manufacturer: bytes
    version: int
    medium: int
    access: int
    counter: bytes | None = None


def encrypted_span(configuration: int, body: bytes) -> Span | None:
    """The encrypted part of what follows a header; None when there is none.

    Bits 8 to 12 of the configuration word are the mode, bits 4 to 7 the number of blocks; in
    mode 7 one more byte of configuration precedes them. A body that is shorter than its blocks
    is not encrypted: early meters send a signature in this word.
    """
    mode = (configuration >> 8) & 0x1F
    length = BLOCK * ((configuration >> 4) & 0x0F)
    start = int(mode == MODE_7)
    if mode not in {MODE_5, MODE_7} or not length or start + length > len(body):
        return None
    return Span(mode, start, 0 if body[start : start + 2] == CLEAR else length)


def decrypt(text: bytes, mode: int, key: bytes, sender: Sender) -> bytes:
    """The clear text, which begins with CLEAR.

    Raises Undecodable when the key does not fit, ConfigError without PyCryptodome.
    """
    clear = _apply("decrypt", text, mode, key, sender)
    if clear[:2] != CLEAR:
        raise Undecodable("the key does not fit: the decrypted text does not start with 2F 2F")
    return clear


def encrypt(text: bytes, mode: int, key: bytes, sender: Sender) -> bytes:
    """``text`` is whole blocks and begins with CLEAR. Raises as ``decrypt`` does."""
    return _apply("encrypt", text, mode, key, sender)


def _apply(way: str, text: bytes, mode: int, key: bytes, sender: Sender) -> bytes:
    try:
        from Crypto.Cipher import AES
    except ImportError:
        raise ConfigError("decryption needs PyCryptodome: install inmetter[decryption]") from None
    if len(key) != KEY_LENGTH:
        raise ConfigError(f"an M-Bus key has {KEY_LENGTH} bytes, this one {len(key)}")
    vector = _NO_VECTOR
    if mode == MODE_7:
        key = _ephemeral_key(key, sender)
    else:
        address = bytes((sender.version, sender.medium))
        vector = sender.manufacturer + sender.identification + address
        vector += bytes((sender.access,)) * (BLOCK - len(vector))
    cipher = AES.new(key, AES.MODE_CBC, vector)
    return cipher.decrypt(text) if way == "decrypt" else cipher.encrypt(text)


def _ephemeral_key(key: bytes, sender: Sender) -> bytes:
    """The key of one message (EN 13757-7:2018, 9.6.2; OMS volume 2): a CMAC of its counter."""
    from Crypto.Cipher import AES
    from Crypto.Hash import CMAC

    if sender.counter is None:
        raise Undecodable("mode 7 needs the message counter of a layer (CI 90) that is not there")
    derivation = CMAC.new(key, ciphermod=AES)
    derivation.update(_FROM_METER + sender.counter + sender.identification + b"\x07" * 7)
    return derivation.digest()
