"""CRC-16/ARC: polynomial 0x8005 reflected, start 0, no final XOR; "123456789" gives 0xBB3D."""


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_TABLE = tuple(_entry(value) for value in range(256))


def crc16_arc(data: bytes) -> int:
    """The checksum of ``data``, 0..0xFFFF (Williams' parameter model, "CRC-16/ARC")."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc
