"""What is wrong with a Modbus profile, beyond what the types of its keys rule out."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from common.errors import Undecodable
from common.ids import KEY, KEY_RULE
from common.registers import Kind, Medium
from edge_agent.profiles.modbus_map import Field, Identity, Profile
from edge_agent.profiles.modbus_output import Output
from edge_agent.protocols.modbus import MAX_REGISTERS, MAX_WRITTEN_COILS, Type

Faults = Iterator[tuple[str, str]]

ADDRESS_RULE = "expected 0 to 65535"
MAX_MAGNITUDE = 12
FUNCTION_RULE = "expected 3 (holding registers) or 4 (input registers)"


def faults(profile: Profile) -> Faults:
    """Key and reason of each fault."""
    yield from _whole(profile)
    for number, field in enumerate(profile.register, 1):
        for key, reason in _field(field, profile):
            yield f"register[{number}].{key}", reason
    for number, output in enumerate(profile.output, 1):
        for key, reason in _output(output):
            yield f"output[{number}].{key}", reason
    if profile.identify:
        yield from _identity(profile.identify)
    keys = sorted([f.key for f in profile.register] + [o.key for o in profile.output])
    for one, other in pairwise(keys):
        if one == other:
            yield "register", f"two registers have the key {one!r}"


def _whole(profile: Profile) -> Faults:
    if profile.medium.upper() not in Medium.__members__:
        yield "medium", f"{profile.medium!r} is not a medium"
    if profile.function not in (3, 4):
        yield "function", FUNCTION_RULE
    if not 0 <= profile.base <= 0xFFFF:
        yield "base", ADDRESS_RULE
    if not 4 <= profile.max_registers <= MAX_REGISTERS:
        yield "max_registers", f"expected 4 to {MAX_REGISTERS}"
    if not 0 <= profile.gap <= MAX_REGISTERS:
        yield "gap", f"expected 0 to {MAX_REGISTERS}"
    if not profile.register and not profile.output:
        yield "register", "at least one register or output is needed"
    if profile.sunspec and profile.output:
        yield "output", "a SunSpec meter has no outputs here"
    if profile.otherwise and not profile.sunspec:
        yield "otherwise", "is for profiles with sunspec"


def _field(field: Field, profile: Profile) -> Faults:
    if not KEY.fullmatch(field.key):
        yield "key", f"{field.key[:60]!r} is not {KEY_RULE}"
    if field.kind is Kind.OUTPUT:
        yield "kind", "an output stands in [[output]]"
    highest = 0x10000 - profile.base
    for span in field.spans:
        if span.address < 0 or span.end > highest:
            yield "address", ADDRESS_RULE
        if span.count > profile.max_registers:
            yield "exponent_at", f"not within one request ({profile.max_registers}) of the address"
    if field.function not in (None, 3, 4):
        yield "function", FUNCTION_RULE
    if field.decimals is not None and not 0 <= field.decimals <= 9:
        yield "decimals", "expected 0 to 9"
    if field.modulus is not None and field.modulus < 2:
        yield "modulus", "expected the number at which the count starts at 0 again"
    yield from _scale(field)


def _scale(field: Field) -> Faults:
    try:
        scale = Decimal(field.scale)
    except InvalidOperation:
        yield "scale", f"{field.scale!r} is not a number"
        return
    if not scale.is_finite() or scale <= 0 or abs(scale.adjusted()) > MAX_MAGNITUDE:
        yield "scale", f"expected a number above 0, and at most 10^{MAX_MAGNITUDE}"
    elif field.places > 9:
        yield "scale", "expected at most 9 decimals"


def _output(output: Output) -> Faults:
    if not KEY.fullmatch(output.key):
        yield "key", f"{output.key[:60]!r} is not {KEY_RULE}"
    if (output.coil is None) is (output.register is None):
        yield "coil", "expected either a coil or a register"
        return
    kind = "coil" if output.coil is not None else "register"
    if not 1 <= output.count <= MAX_WRITTEN_COILS or (kind == "register" and output.count != 1):
        yield "count", f"expected 1 to {MAX_WRITTEN_COILS} coils"
        return
    span = output.request.span
    if span.address < 0 or span.end > 0x10000:
        yield kind, ADDRESS_RULE
    functions = _functions(output)
    if output.write not in (None, *functions):
        yield "write", f"expected {' or '.join(map(str, functions))}"
    if output.mask is not None and not (
        kind == "register" and output.type is Type.U16 and 1 <= output.mask <= 0xFFFF
    ):
        yield "mask", "expected 1 to 65535, and a register of type u16"
        return
    yield from _numbers(output)


def _functions(output: Output) -> tuple[int, ...]:
    """The functions that can set it."""
    if output.coil is not None:
        return (5, 15) if output.count == 1 else (15,)
    return (6, 16) if output.type.words == 1 else (16,)


def _numbers(output: Output) -> Faults:
    if output.on_number == output.off:
        yield "on", "expected another number than off"
    for key, number in (("on", output.on_number), ("off", output.off)):
        if output.coil is not None:
            fits = 0 <= number < 1 << output.count
        elif output.mask is not None:
            fits = number >= 0 and not number & ~output.mask
        else:
            fits = _fits(output, number)
        if not fits:
            yield key, f"{number} does not fit"


def _fits(output: Output, number: int) -> bool:
    """Whether the register can hold it, and gives it back."""
    address = output.request.span.address
    value = int(number == output.on_number)
    try:
        words = output.setting(value, {}).values
    except (Undecodable, OverflowError):
        return False
    cells = {(3, address + i): word for i, word in enumerate(words)}
    return output.state(cells) == value


def _identity(identity: Identity) -> Faults:
    if not 0 <= identity.address <= 0x10000 - identity.count:
        yield "identify.address", ADDRESS_RULE
    if identity.function not in (None, 3, 4):
        yield "identify.function", FUNCTION_RULE
    if bool(identity.text) is bool(identity.values):
        yield "identify", "expected either texts or values"
    if not all(text.isascii() for text in identity.text):
        yield "identify.text", "expected ASCII characters"
