"""A Modbus server that is not ours: libmodbus (C), driven through ctypes, in its own process.

``python libmodbus_server.py tcp|DEVICE FUNCTION ADDRESS WORD…`` serves the words (hex) as holding
(3) or input (4) registers from ADDRESS on, and eight coils from 0 on; as unit 1 on a serial line.
It prints where it serves, and then serves one connection after the other until it is killed.
"""

import ctypes
import os
import socket
import sys

LIBRARY = "libmodbus.so.5"
MAX_FRAME = 260


class Mapping(ctypes.Structure):
    """``modbus_mapping_t`` of libmodbus 3.1."""

    _fields_ = (
        ("nb_bits", ctypes.c_int),
        ("start_bits", ctypes.c_int),
        ("nb_input_bits", ctypes.c_int),
        ("start_input_bits", ctypes.c_int),
        ("nb_input_registers", ctypes.c_int),
        ("start_input_registers", ctypes.c_int),
        ("nb_registers", ctypes.c_int),
        ("start_registers", ctypes.c_int),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    )


def serve(where: str, function: int, address: int, words: list[int]) -> None:
    library = ctypes.CDLL(LIBRARY)
    for name in ("modbus_new_tcp", "modbus_new_rtu"):
        getattr(library, name).restype = ctypes.c_void_p
    library.modbus_mapping_new_start_address.restype = ctypes.POINTER(Mapping)
    holding, count = function == 3, len(words)
    mapping = library.modbus_mapping_new_start_address(
        *(0, 8, 0, 0),
        *((address, count, 0, 0) if holding else (0, 0, address, count)),
    )
    table = mapping.contents.tab_registers if holding else mapping.contents.tab_input_registers
    for place, word in enumerate(words):
        table[place] = word

    if where == "tcp":
        context = ctypes.c_void_p(library.modbus_new_tcp(b"127.0.0.1", 0))
        listener = library.modbus_tcp_listen(context, 1)
        with socket.socket(fileno=os.dup(listener)) as own:
            print(own.getsockname()[1], flush=True)
        handle = ctypes.c_int(listener)
    else:
        parity = ctypes.c_char(b"N")
        context = ctypes.c_void_p(library.modbus_new_rtu(where.encode(), 9600, parity, 8, 1))
        library.modbus_set_slave(context, 1)
        if library.modbus_connect(context) != 0:
            sys.exit(f"libmodbus cannot open {where}")
        print(where, flush=True)

    query = (ctypes.c_uint8 * MAX_FRAME)()
    connected = where != "tcp"
    while True:
        if not connected:
            library.modbus_tcp_accept(context, ctypes.byref(handle))
            connected = True
        size = library.modbus_receive(context, query)
        if size > 0:
            library.modbus_reply(context, query, size, mapping)
        elif size < 0 and where == "tcp":
            connected = False


if __name__ == "__main__":
    serve(
        sys.argv[1],
        int(sys.argv[2]),
        int(sys.argv[3], 0),
        [int(word, 16) for word in sys.argv[4:]],
    )
