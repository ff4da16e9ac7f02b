"""The proof that a device knows its key, without the key on the wire."""

import hashlib
import hmac


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
