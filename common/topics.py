"""The MQTT topics: ``inmetter/v1/<gateway>/up/<leaf>`` and ``…/down/<leaf>``."""

from common.errors import Undecodable
from common.ids import check_key

ROOT = "inmetter/v1"
UP = ("hello", "journal", "status")
DOWN = ("ack", "resume", "command", "config")


def up(gateway: str, leaf: str) -> str:
    """The topic on which ``gateway`` says ``leaf`` (one of UP); ``+`` stands for every gateway."""
    return f"{ROOT}/{gateway}/up/{leaf}"


def down(gateway: str, leaf: str) -> str:
    """The topic on which ``gateway`` is told ``leaf`` (one of DOWN)."""
    return f"{ROOT}/{gateway}/down/{leaf}"


def shared(group: str, topic: str) -> str:
    """The subscription of which each message goes to one member of ``group`` only."""
    return f"$share/{group}/{topic}" if group else topic


def parse(topic: str) -> tuple[str, str, str]:
    """(gateway, "up" or "down", leaf); raises Undecodable for any other topic."""
    parts = topic.split("/")
    if len(parts) == 5 and "/".join(parts[:2]) == ROOT:
        _, _, gateway, direction, leaf = parts
        if leaf in {"up": UP, "down": DOWN}.get(direction, ()):
            return check_key(gateway, "gateway"), direction, leaf
    raise Undecodable(f"topic {topic[:100]!r} is not one of {ROOT}/<gateway>/…")


def acl() -> str:
    """Mosquitto's access list; a gateway (its user name) writes its up/ and reads its down/."""
    return "\n".join(
        [
            "user inmetter-cloud",
            f"topic read {ROOT}/+/up/#",
            f"topic write {ROOT}/+/down/#",
            "",
            f"pattern write {ROOT}/%u/up/#",
            f"pattern read {ROOT}/%u/down/#",
            "",
        ]
    )
