"""A Modbus server that is not ours: uModbus.

``python umodbus_server.py tcp|DEVICE FUNCTION ADDRESS WORD…`` serves the words (hex) as holding
(3) or input (4) registers from ADDRESS on, and eight coils from 0 on, as unit 1. It prints where it
serves, and then serves until it is killed.
"""

import socketserver
import sys

import serial  # type: ignore[import-untyped]
from umodbus.server.serial import get_server as get_serial_server
from umodbus.server.serial.rtu import RTUServer
from umodbus.server.tcp import RequestHandler, get_server


def serve(where: str, function: int, address: int, words: list[int]) -> None:
    if where == "tcp":
        server = get_server(socketserver.ThreadingTCPServer, ("127.0.0.1", 0), RequestHandler)
    else:
        server = get_serial_server(RTUServer, serial.Serial(where, 9600))
    registers = dict(enumerate(words, address))
    coils = dict.fromkeys(range(8), 0)

    def read(slave_id: int, function_code: int, address: int) -> int:
        return (coils if function_code == 1 else registers)[address]

    def write(slave_id: int, function_code: int, address: int, value: int) -> None:
        (coils if function_code in (5, 15) else registers)[address] = value

    for codes, known, endpoint in (
        ([function], registers, read),
        ([6, 16], registers, write),
        ([1], coils, read),
        ([5, 15], coils, write),
    ):
        server.route(slave_ids=[1], function_codes=codes, addresses=list(known))(endpoint)

    print(server.server_address[1] if where == "tcp" else where, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    given = sys.argv[1:]
    serve(given[0], int(given[1]), int(given[2], 0), [int(word, 16) for word in given[3:]])
