"""Routes: what people say against the readings of a register."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path

from cloud.api import correction_models
from cloud.api.deps import READ, Biller, NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.services import corrections
from cloud.services.corrections import CorrectionView, NewCorrection
from cloud.services.points import Change
from common.clock import to_ms

router = APIRouter(prefix="/registers/{register_id}/corrections", tags=["corrections"])

CorrectionId = Annotated[int, Path(ge=1, le=2**31 - 1, description="As listed")]


@router.get(
    "",
    response_model=list[correction_models.Correction],
    responses=responses(404),
    dependencies=[READ],
)
def list_corrections(store: TheStore, register_id: RowId) -> Sequence[CorrectionView]:
    """All corrections of a register, by what they correct; also those that were withdrawn."""
    return corrections.corrections(store, register_id)


@router.post(
    "",
    response_model=correction_models.Correction,
    status_code=201,
    responses=responses(404, 413),
)
def correct_register(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Biller,
    register_id: RowId,
    wanted: correction_models.NewCorrection,
) -> CorrectionView:
    """Take out what a register read, put a value in its place, or both. Needs the scope bill.

    Readings stay as they came; consumption and cost follow at once, statements say what changed.
    """
    new = NewCorrection(
        to_ms(wanted.start), None if wanted.end is None else to_ms(wanted.end), wanted.value
    )
    return corrections.correct(store, register_id, new, Change(account.name, now_ms, wanted.reason))


@router.post(
    "/{correction_id}/withdraw",
    response_model=correction_models.Correction,
    responses=responses(404, 413),
)
def withdraw_correction(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Biller,
    register_id: RowId,
    correction_id: CorrectionId,
    wanted: correction_models.Withdrawal,
) -> CorrectionView:
    """Have a correction count no more; it stays to be seen. Needs the scope bill."""
    change = Change(account.name, now_ms, wanted.reason)
    return corrections.withdraw(store, register_id, correction_id, change)
