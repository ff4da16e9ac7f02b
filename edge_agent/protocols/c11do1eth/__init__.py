"""IM1, the line protocol of the C11DO1ETH module: bytes to frames and back, for both roles.

IM1 is inMetter's own protocol (docs/devices/c11do1eth.md is its definition); it claims no
compatibility with anything else. Nothing here waits, reads a clock or opens a socket.
"""

from edge_agent.protocols.c11do1eth.auth import is_proof, prove, unwrap_key, wrap_key
from edge_agent.protocols.c11do1eth.fields import MAX_LINE, BadLine, NakCode
from edge_agent.protocols.c11do1eth.frames import (
    Ack,
    Auth,
    Cause,
    Chal,
    Clock,
    Cmd,
    EventCode,
    Evt,
    Frame,
    Hello,
    Nak,
    Ping,
    Pong,
    Reason,
    Rec,
    Result,
    Rsp,
    Unreadable,
    Welc,
)
from edge_agent.protocols.c11do1eth.line import (
    FROM_DEVICE,
    FROM_SERVER,
    LineBuffer,
    parse,
    unreadable,
)
from edge_agent.protocols.c11do1eth.orders import Directive, Edge, Verb, parse_directive
from edge_agent.protocols.c11do1eth.timeline import Timeline, is_undated

__all__ = [
    "FROM_DEVICE",
    "FROM_SERVER",
    "MAX_LINE",
    "Ack",
    "Auth",
    "BadLine",
    "Cause",
    "Chal",
    "Clock",
    "Cmd",
    "Directive",
    "Edge",
    "EventCode",
    "Evt",
    "Frame",
    "Hello",
    "LineBuffer",
    "Nak",
    "NakCode",
    "Ping",
    "Pong",
    "Reason",
    "Rec",
    "Result",
    "Rsp",
    "Timeline",
    "Unreadable",
    "Verb",
    "Welc",
    "is_proof",
    "is_undated",
    "parse",
    "parse_directive",
    "prove",
    "unreadable",
    "unwrap_key",
    "wrap_key",
]
