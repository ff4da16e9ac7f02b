"""What is heard when several M-Bus meters answer at once: bits, as the wire has them."""

from collections.abc import Sequence
from typing import Final

CHARACTER_BITS: Final = 11
"""Start bit 0, eight data bits from the lowest, even parity, stop bit 1 (EN 13757-2, 5.3)."""


def overlay(answers: Sequence[tuple[int, bytes]]) -> bytes:
    """The bytes that a receiver makes of answers that each begin after so many bit times.

    A space (0) of any meter wins over the marks (1) of the others. A receiver takes a character
    at each falling edge, whatever its parity, and waits for a mark when the stop bit is missing.
    """
    if len(answers) == 1:
        return answers[0][1]
    length = max((start + CHARACTER_BITS * len(data) for start, data in answers), default=0)
    line = [1] * length
    for start, data in answers:
        for number, byte in enumerate(data):
            for position, bit in enumerate(_character(byte), start + CHARACTER_BITS * number):
                line[position] &= bit
    return _received(line)


def _character(byte: int) -> list[int]:
    bits = [byte >> position & 1 for position in range(8)]
    return [0, *bits, sum(bits) & 1, 1]


def _received(line: list[int]) -> bytes:
    heard = bytearray()
    at = 0
    while at < len(line):
        if line[at]:
            at += 1
            continue
        character = line[at : at + CHARACTER_BITS]
        character += [1] * (CHARACTER_BITS - len(character))
        heard.append(sum(bit << position for position, bit in enumerate(character[1:9])))
        at += CHARACTER_BITS
        while not character[-1] and at < len(line) and not line[at]:
            at += 1
    return bytes(heard)
