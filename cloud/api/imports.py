"""Routes: files that are taken in. Each is looked at only, unless it is told otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from cloud.api.deps import Configurer, NowMs, TheStore
from cloud.api.errors import FieldError, problem, responses
from cloud.api.export import Slots
from cloud.api.import_examples import POINTS_FILE, READINGS_FILE
from cloud.api.models import Model
from cloud.export.formats import MEDIA_TYPES, Decimals, Format
from cloud.importing.report import Report
from cloud.services import imports, point_imports
from cloud.services.boundaries import zone_of
from cloud.services.imports import File, ImportRefused
from cloud.services.points import Change

router = APIRouter(prefix="/import", tags=["import"])

AT_ONCE = 2
"""A file and its lines are in memory while it is taken in."""

TYPES = tuple(MEDIA_TYPES[one].partition(";")[0] for one in (Format.CSV, Format.XLSX))


class LineFault(Model):
    """What is wrong with a line."""

    line: int = Field(description="As an editor or a spreadsheet shows it; the head is 1")
    column: str = Field(description="Empty: the line as a whole")
    wrong: str
    advice: str = Field(description="What to do about it")


class ImportReport(Model):
    """What a file holds, and what becomes of it."""

    file: str
    sha256: str
    decimals: str = Field(description="point or comma: how numbers were read")
    lines: int
    new: int
    already_there: int = Field(description="As they are in the file")
    conflicting: int = Field(description="Something else is there in their place, and stays")
    refused: int
    faults: list[LineFault] = Field(description="The first bad lines, at most 100")
    more: int = Field(description="Further bad lines")
    stored: bool = Field(description="Whether the new ones are there now")


def _slot(request: Request, _account: Configurer) -> Iterator[None]:
    slots: Slots = request.app.state.import_slots
    with slots.one():
        yield


@dataclass(frozen=True, slots=True)
class _Upload:
    file: File
    dry_run: bool


async def _upload(
    *,
    request: Request,
    _account: Configurer,  # before a byte of the body is read
    _taken: Annotated[None, Depends(_slot)],
    dry_run: Annotated[bool, Query(description="false: it is done, not only looked at")] = True,
    name: Annotated[str, Query(max_length=200, description="The file's, to be written down")] = "",
    decimal: Annotated[
        Decimals | None, Query(description="Of numbers; found out when left out")
    ] = None,
    zone: Annotated[
        str | None, Query(max_length=64, description="IANA name, for times without an offset")
    ] = None,
) -> _Upload:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise HTTPException(415, f"the body is a file, of content type {' or '.join(TYPES)}")
    comma = None if decimal is None else decimal is Decimals.COMMA
    place: ZoneInfo | None = zone_of(zone) if zone else None
    return _Upload(File(name, await request.body(), place, comma), dry_run)


Upload = Annotated[_Upload, Depends(_upload)]


def _body(example: str) -> dict[str, object]:
    """The body of an operation: a file, such as ``example``."""
    file = {"schema": {"type": "string", "format": "binary"}, "example": example}
    return {"requestBody": {"required": True, "content": dict.fromkeys(TYPES, file)}}


@router.post(
    "/readings",
    response_model=ImportReport,
    responses=responses(413, 415),
    openapi_extra=_body(READINGS_FILE),
)
def import_readings(
    store: TheStore, now_ms: NowMs, account: Configurer, upload: Upload
) -> Report | JSONResponse:
    """Readings from a CSV or XLSX file with the export's columns. Needs the scope configure.

    All new ones are stored, or, when there is a bad line, none: 422, with what is wrong in which
    line. Nothing is overwritten. With `dry_run`, which is so when it is left out, nothing is
    stored in any case.
    """
    if upload.dry_run:
        return imports.check(store, upload.file, now_ms)
    try:
        return imports.store(store, upload.file, Change(account.name, now_ms))
    except ImportRefused as error:
        return _refused(error)


@router.post(
    "/metering-points",
    response_model=ImportReport,
    responses=responses(413, 415),
    openapi_extra=_body(POINTS_FILE),
)
def import_points(
    store: TheStore, now_ms: NowMs, account: Configurer, upload: Upload
) -> Report | JSONResponse:
    """Metering points with their first meters, from a CSV or XLSX file. Needs the scope configure.

    All or none, as with readings.
    """
    if upload.dry_run:
        return point_imports.check(store, upload.file, now_ms)
    try:
        return point_imports.store(store, upload.file, Change(account.name, now_ms))
    except ImportRefused as error:
        return _refused(error)


def _refused(error: ImportRefused) -> JSONResponse:
    """The report's bad lines, in the words of a problem."""
    found = [
        FieldError(
            field=f"line {one.line}" + (f", {one.column}" if one.column else ""),
            detail=f"{one.wrong}; {one.advice}",
        )
        for one in error.report.faults
    ]
    return problem(422, str(error), errors=found)
