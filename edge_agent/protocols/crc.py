"""CRC-16 with the polynomial 0x8005, reflected, without a final XOR: two protocols, two starts."""


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_TABLE = tuple(_entry(value) for value in range(256))


def crc16_arc(data: bytes) -> int:
    """Start 0; "123456789" gives 0xBB3D (Williams' parameter model, "CRC-16/ARC")."""
    return _crc16(data, 0)


def crc16_modbus(data: bytes) -> int:
    """Start 0xFFFF; "123456789" gives 0x4B37 (Modbus over serial line V1.02 §6.2.2)."""
    return _crc16(data, 0xFFFF)


def _crc16(data: bytes, value: int) -> int:
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value
