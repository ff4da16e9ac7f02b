"""Which computer this is: what a copied card does not take with it."""

import hashlib
from pathlib import Path

SERIALS = ("sys/firmware/devicetree/base/serial-number", "sys/class/dmi/id/product_uuid")


def machine_id(root: Path = Path("/")) -> str:
    """16 hex digits that stay with the computer, whatever disk it runs from; empty when unknown.

    Of the board's serial number where there is one, else of the addresses of its built-in network
    interfaces. What is plugged into USB, and what a container or a bridge makes up, does not count.
    """
    serials = [text for name in SERIALS if (text := _read(root / name))]
    known = serials[:1] or _addresses(root)
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:16] if known else ""


def _addresses(root: Path) -> list[str]:
    interfaces = root / "sys/class/net"
    try:
        names = sorted(interfaces.iterdir())
    except OSError:
        return []
    built_in = [
        one for one in names if (one / "device").exists() and "/usb" not in str(one.resolve())
    ]
    return [address for one in built_in if (address := _read(one / "address"))]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""
