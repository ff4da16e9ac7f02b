"""Issued statements taken out: their lines as a table, one of them as a page."""

from collections.abc import Iterator, Sequence

from cloud.domain.cost import taxes_by_line
from cloud.export.table import Column, Row, Table, Type
from cloud.services.exports import points_in, zone_of_all
from cloud.services.statements import issued_in, statement
from cloud.storage.unit_of_work import Store
from common.errors import Permanent

STATEMENTS = (
    Column("site", Type.TEXT),
    Column("point", Type.TEXT),
    Column("name", Type.TEXT),
    Column("month", Type.TEXT),
    Column("statement", Type.INTEGER),
    Column("issued_at", Type.TIME),
    Column("tariff", Type.TEXT),
    Column("charge", Type.TEXT),
    Column("part", Type.TEXT),
    Column("start", Type.TEXT),
    Column("end", Type.TEXT),
    Column("quantity", Type.DECIMAL),
    Column("unit", Type.TEXT),
    Column("price", Type.DECIMAL),
    Column("per", Type.TEXT),
    Column("currency", Type.TEXT),
    Column("amount", Type.DECIMAL),
    Column("tax_percent", Type.DECIMAL),
    Column("tax", Type.DECIMAL),
    Column("total", Type.DECIMAL),
    Column("estimated", Type.DECIMAL),
)


def statements(
    store: Store, site: str | None, point: str | None, start: str | None, end: str | None
) -> Table:
    """The lines of the statements of the months ``start`` (2026-06) to before ``end``.

    By site, metering point and month; ``site`` and ``point`` are keys, None is any. A line's tax
    is its part of the tax of its rate: the parts add up to what the statement says.
    Raises NotFound when there is no such metering point, Permanent when no month lies between.
    """
    if start and end and start >= end:
        raise Permanent("end must be later than start; it is the first month that does not count")
    with store.read() as uow:
        known = points_in(uow, site, point)
        found = uow.statements.issued(site, point, start, end)
    words = [word for word in (site, point, start, end) if word]
    return Table(
        name="_".join(["statements", *words]),
        columns=STATEMENTS,
        zone=zone_of_all(one.timezone for one in known),
        rows=_lines(store, found),
    )


def statement_pdf(store: Store, statement_id: int) -> tuple[str, bytes]:
    """A statement as a PDF, and its file's name, in ASCII; raises as ``statement``."""
    # Not before: it brings what reads pictures and fonts, and few processes make a PDF.
    from cloud.export.statement_pdf import Sheet, write_pdf

    view = statement(store, statement_id)
    issued, content = view.issued, view.content
    sheet = Sheet(issued.id, issued.issued_at, issued.issued_by, issued.hash, content, view.since)
    return f"statement_{content.point}_{content.month}_{issued.id}.pdf", write_pdf(sheet)


def _lines(store: Store, ids: Sequence[int]) -> Iterator[Row]:
    for id_ in ids:
        with store.read() as uow:
            issued, content = issued_in(uow, id_)
        head = (
            *(content.site, content.point, content.name, content.month),
            *(issued.id, issued.issued_at),
        )
        for span in content.priced.spans:
            for line, tax in zip(span.cost.lines, taxes_by_line(span.cost), strict=True):
                yield (
                    *head,
                    *(span.tariff, line.charge, line.part),
                    *(line.start.isoformat(), line.end.isoformat()),
                    *(line.quantity, line.unit, line.price, line.per),
                    *(span.cost.currency, line.net, line.tax_percent, tax, line.net + tax),
                    line.estimated,
                )
