"""A Modbus server that is not ours: modbus-tk.

``python modbus_tk_server.py tcp|DEVICE FUNCTION ADDRESS WORD…`` serves the words (hex) as holding
(3) or input (4) registers from ADDRESS on, and eight coils from 0 on, as unit 1. It prints where it
serves, and then serves until it is killed.
"""

import sys
import threading

import serial  # type: ignore[import-untyped]
from modbus_tk import defines, modbus_rtu, modbus_tcp


def serve(where: str, function: int, address: int, words: list[int]) -> None:
    if where == "tcp":
        server = modbus_tcp.TcpServer(port=0, address="127.0.0.1")
    else:
        server = modbus_rtu.RtuServer(serial.Serial(where, 9600))
    unit = server.add_slave(1)
    kind = defines.HOLDING_REGISTERS if function == 3 else defines.ANALOG_INPUTS
    unit.add_block("words", kind, address, len(words))
    unit.set_values("words", address, words)
    unit.add_block("coils", defines.COILS, 0, 8)
    server.start()
    if where == "tcp":
        while server._sock is None:
            threading.Event().wait(0.01)
        print(server._sock.getsockname()[1], flush=True)
    else:
        print(where, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    given = sys.argv[1:]
    serve(given[0], int(given[1]), int(given[2], 0), [int(word, 16) for word in given[3:]])
