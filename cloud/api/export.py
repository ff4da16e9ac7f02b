"""Routes: what is taken out as files, however much it is."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Semaphore
from typing import Annotated

from anyio import CancelScope
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from cloud.api.deps import READ, NowMs, TheStore
from cloud.api.errors import responses
from cloud.api.registers import End, Start
from cloud.export.files import write
from cloud.export.formats import MEDIA_TYPES, Decimals, Format
from cloud.export.table import Table
from cloud.services import exports
from common.clock import to_datetime
from common.errors import InMetterError
from common.ids import KEY
from common.logs import events

router = APIRouter(prefix="/export", tags=["export"])

AT_ONCE = 4
RETRY_AFTER_S = 30
PATIENCE_S = 60.0
"""For a client to take one part; then it is hung up on."""


class Slots:
    """So many ``what`` run at a time, in all threads."""

    def __init__(self, most: int = AT_ONCE, what: str = "exports") -> None:
        self._free = Semaphore(most)
        self._what = what

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place among them; where there is none, the answer is 503."""
        if not self._free.acquire(blocking=False):
            detail = f"as many {self._what} run as may at a time; try again"
            raise HTTPException(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})
        try:
            yield
        finally:
            self._free.release()


class Download(StreamingResponse):
    """A table as a file. When it ends, however that is, nothing of it stays behind.

    What goes wrong in the middle, or a client that takes nothing for ``patience_s``, ends it
    without the end of the body, so that nobody takes a part for the whole.
    """

    def __init__(
        self,
        table: Table,
        file_format: Format,
        decimals: Decimals,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._parts = write(table, file_format, decimals)
        self._name = f"{table.name}.{file_format}"
        self._patience_s = patience_s
        super().__init__(
            self._parts,
            media_type=MEDIA_TYPES[file_format],
            headers={
                "Content-Disposition": f'attachment; filename="{self._name}"',
                "Cache-Control": "no-store",
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._close)

    def _close(self) -> None:
        # Where the program ends, a thread may be in there yet; then it closes behind itself.
        with suppress(ValueError):
            self._parts.close()

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._patience_s):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            events.warning("%s: the client takes nothing", self._name)
        except (InMetterError, OSError) as error:
            events.warning("%s: %s", self._name, error)


def _slot(request: Request) -> Iterator[None]:
    slots: Slots = request.app.state.export_slots
    with slots.one():
        yield


Key = Annotated[str | None, Query(pattern=f"^{KEY.pattern}$")]


@router.get(
    "/readings",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {
                kind.partition(";")[0]: {"example": "site,gateway,device,register,unit,time, …"}
                for kind in MEDIA_TYPES.values()
            }
        },
        **responses(404),
    },
    dependencies=[READ, Depends(_slot)],
)
def export_readings(
    *,
    store: TheStore,
    now_ms: NowMs,
    start: Start,
    end: End = None,
    site: Key = None,
    gateway: Key = None,
    device: Key = None,
    register: Key = None,
    register_id: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    file_format: Annotated[Format, Query(alias="format")] = Format.CSV,
    decimal: Annotated[Decimals, Query(description="comma: for CSV only")] = Decimals.POINT,
) -> Download:
    """All readings of the registers with these keys (without any: of all), as a file."""
    selection = exports.Selection(site, gateway, device, register, register_id)
    table = exports.readings(store, selection, start, end or to_datetime(now_ms))
    return Download(table, file_format, decimal)
