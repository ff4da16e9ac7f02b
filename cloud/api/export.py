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
from cloud.domain.consumption import Step
from cloud.export.files import write
from cloud.export.formats import MEDIA_TYPES, Decimals, Format
from cloud.export.table import Table
from cloud.services import consumption_export, exports, statement_export
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


def slot(request: Request) -> Iterator[None]:
    """A place among the files that are made at a time."""
    slots: Slots = request.app.state.export_slots
    with slots.one():
        yield


Key = Annotated[str | None, Query(pattern=f"^{KEY.pattern}$")]


RegisterId = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
FileFormat = Annotated[Format, Query(alias="format")]
Decimal = Annotated[Decimals, Query(description="comma: for CSV only")]
Month = Annotated[str | None, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


def _selection(
    site: Key = None,
    gateway: Key = None,
    device: Key = None,
    register: Key = None,
    register_id: RegisterId = None,
) -> exports.Selection:
    return exports.Selection(site, gateway, device, register, register_id)


Selection = Annotated[exports.Selection, Depends(_selection)]
"""The registers with these keys; without any: all."""


def _files(example: str) -> dict[int | str, dict[str, object]]:
    """What a route answers that makes a table."""
    kinds = (kind.partition(";")[0] for kind in MEDIA_TYPES.values())
    return {200: {"content": {kind: {"example": example} for kind in kinds}}, **responses(404)}


@router.get(
    "/readings",
    response_class=StreamingResponse,
    responses=_files("site,gateway,device,register,unit,time, …"),
    dependencies=[READ, Depends(slot)],
)
def export_readings(
    *,
    store: TheStore,
    now_ms: NowMs,
    selection: Selection,
    start: Start,
    end: End = None,
    file_format: FileFormat = Format.CSV,
    decimal: Decimal = Decimals.POINT,
) -> Download:
    """All readings of the registers with these keys (without any: of all), as a file."""
    table = exports.readings(store, selection, start, end or to_datetime(now_ms))
    return Download(table, file_format, decimal)


@router.get(
    "/consumption",
    response_class=StreamingResponse,
    responses=_files("site,point,name,unit,start,end,value, …"),
    dependencies=[READ, Depends(slot)],
)
def export_consumption(
    *,
    store: TheStore,
    now_ms: NowMs,
    selection: Selection,
    start: Start,
    end: End = None,
    step: Annotated[Step, Query(description="By the clock of the site")] = Step.DAY,
    point: Key = None,
    file_format: FileFormat = Format.CSV,
    decimal: Decimal = Decimals.POINT,
) -> Download:
    """Consumption of each local period that overlaps the span, as a file.

    Of the metering point with this key, of all points of a site, or of all; with a gateway, device
    or register, of the registers that count. At most 100,000 periods of each.
    """
    until = end or to_datetime(now_ms)
    table = consumption_export.consumption(store, selection, point, step, start, until)
    return Download(table, file_format, decimal)


@router.get(
    "/statements",
    response_class=StreamingResponse,
    responses=_files("site,point,name,month,statement, …"),
    dependencies=[READ, Depends(slot)],
)
def export_statements(
    *,
    store: TheStore,
    start: Month = None,
    end: Month = None,
    site: Key = None,
    point: Key = None,
    file_format: FileFormat = Format.CSV,
    decimal: Decimal = Decimals.POINT,
) -> Download:
    """The lines of the statements that were issued of the months from `start` to before `end`."""
    table = statement_export.statements(store, site, point, start, end)
    return Download(table, file_format, decimal)
