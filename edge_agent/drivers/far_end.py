"""What listens where a meter or a converter was expected. Pure."""

IAC = 0xFF
NEGOTIATION = range(0xFB, 0xFF)
"""Telnet's WILL, WON'T, DO and DON'T, after IAC (RFC 854)."""


def stranger(heard: bytes) -> str | None:
    """What says ``heard``, and what to do about it; None for what may be a field protocol."""
    if heard.startswith(b"HTTP/") or heard[:5].lower() in (b"<!doc", b"<html"):
        return "a web server answers there: wrong port"
    if heard.startswith(b"SSH-"):
        return "an SSH server answers there: wrong port"
    if _is_negotiation(heard[:3]) and _is_negotiation(heard[3:6]):
        return "a telnet console answers there: wrong port, or the converter's port is not raw TCP"
    return None


def _is_negotiation(heard: bytes) -> bool:
    return len(heard) == 3 and heard[0] == IAC and heard[1] in NEGOTIATION
