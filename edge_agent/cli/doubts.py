"""Values that no meter shows, and where they mostly come from."""

from edge_agent.cli.once import Outcome
from edge_agent.config import C11Settings, Config, DeviceSettings, MbusSettings
from edge_agent.metering.plausibility import doubt

SHOWN = 3


def doubts(outcome: Outcome) -> dict[str, str]:
    """By register: the value, and what would be one. Empty when all may be right."""
    kinds = {register.key: register.kind for register in outcome.device.registers}
    measured = outcome.sample.measured if outcome.sample else ()
    found = {
        one.key: doubt(kinds[one.key], one.value)
        for one in measured
        if one.value is not None and one.key in kinds
    }
    return {key: text for key, text in found.items() if text}


def summary(found: dict[str, str]) -> str:
    """The first few of them, in a line."""
    texts = [f"{key} {text}" for key, text in found.items()]
    more = f"; {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more


def likely_cause(config: Config, device: DeviceSettings) -> str:
    """Why a device that answers is misread, and what to do."""
    if isinstance(device, C11Settings):
        return f"is pulse_weight ({device.pulse_weight}) what stands on the meter?"
    if isinstance(device, MbusSettings):
        return "compare with the meter's face: a wrong transformer ratio, or a fault of the meter"
    url = next(line.url for line in config.settings.line if line.id == device.line)
    return (
        f"likely the device has another order of words than the profile {device.profile} "
        "(order = ABCD, CDAB, …), or its addresses are off by one; each order is shown by "
        f"`inmetter-edge probe modbus {url} --unit {device.unit} --address A`"
    )
