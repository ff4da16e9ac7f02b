"""How many telegrams of real meters the M-Bus decoder reads in a second, on one core."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import meterbus

from edge_agent.protocols.mbus.telegram import decode_frame
from tests.bench.figures import Figure, figure
from tests.bench.load import RUNS

FRAMES = Path(__file__).resolve().parents[3] / "shared" / "mbus-frames" / "frames"
TARGET_PER_S = 5_000
RUN_S = 0.5


def decoding(_: dict[str, Figure]) -> list[Figure]:
    """Ours over all frames; pyMeterBus, as the peer, over those that it can decode."""
    frames = [bytes.fromhex(path.read_text()) for path in sorted(FRAMES.glob("*.hex"))]
    if not frames:
        sys.stderr.write("  skipped: ../shared/mbus-frames is not here\n")
        return []
    readable = [frame for frame in frames if _is_readable(frame)]
    peer = figure(
        "bare.pymeterbus_frames_per_s",
        [_rate(_foreign, readable) for _ in range(RUNS)],
        "frames/s",
        "higher",
    )
    ours = figure(
        "mbus.decode_frames_per_s",
        [_rate(decode_frame, frames) for _ in range(RUNS)],
        "frames/s",
        "higher",
        target=TARGET_PER_S,
        peer=peer,
    )
    return [peer, ours]


def _foreign(frame: bytes) -> list[object]:
    """What a reader of values must ask for: pyMeterBus computes them only then."""
    return [record.value for record in meterbus.load(frame).records]


def _is_readable(frame: bytes) -> bool:
    try:
        return bool(_foreign(frame))
    except (meterbus.MBusFrameDecodeError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _rate(decode: Callable[[bytes], object], frames: Sequence[bytes]) -> float:
    begun = time.process_time()
    count = 0
    while time.process_time() - begun < RUN_S:
        for frame in frames:
            decode(frame)
        count += len(frames)
    return count / (time.process_time() - begun)
