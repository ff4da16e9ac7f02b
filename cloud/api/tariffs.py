"""Routes: tariffs, and which of them a metering point has from when."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path

from cloud.api import point_models, tariff_models
from cloud.api.deps import READ, Configurer, NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.domain.tariff_check import open_tariff
from cloud.services import tariffs
from cloud.services.point_views import ChangeView
from cloud.services.points import Change
from cloud.services.tariffs import AssignmentView, TariffView

router = APIRouter(tags=["tariffs"])

TariffKey = Annotated[str, Path(max_length=48, description="The tariff's key")]


@router.get(
    "/tariffs",
    response_model=list[tariff_models.Tariff],
    dependencies=[READ],
)
def list_tariffs(store: TheStore) -> list[tariff_models.Tariff]:
    """All tariffs, by name."""
    return [_answer(one) for one in tariffs.tariffs(store)]


@router.get(
    "/tariffs/{key}",
    response_model=tariff_models.Tariff,
    responses=responses(404),
    dependencies=[READ],
)
def get_tariff(store: TheStore, key: TariffKey) -> tariff_models.Tariff:
    """One tariff, with all its versions."""
    return _answer(tariffs.tariff(store, key))


@router.put("/tariffs/{key}", response_model=tariff_models.Tariff, responses=responses(404, 413))
def put_tariff(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    key: TariffKey,
    wanted: tariff_models.NewTariff,
) -> tariff_models.Tariff:
    """Make a tariff, or replace the whole of it. Needs the scope configure.

    Cost is derived, so that it is another one at once, also of the past; statements that were
    issued stay, and tell the difference. The same again changes nothing.
    """
    definition = wanted.model_dump(mode="json", exclude={"reason"}) | {"key": key}
    tariff = open_tariff(msgspec.json.encode(definition))
    return _answer(tariffs.put(store, tariff, Change(account.name, now_ms, wanted.reason)))


@router.get(
    "/tariffs/{key}/changes",
    response_model=list[point_models.Change],
    responses=responses(404),
    dependencies=[READ],
)
def list_tariff_changes(store: TheStore, key: TariffKey) -> Sequence[ChangeView]:
    """What was done to a tariff, newest first, each with its definition: at most 500."""
    return tariffs.changes(store, key)


@router.get(
    "/metering-points/{point_id}/tariff",
    response_model=list[tariff_models.Assignment],
    responses=responses(404),
    dependencies=[READ],
)
def list_assignments(store: TheStore, point_id: RowId) -> Sequence[AssignmentView]:
    """Which tariffs a metering point has from when, in order of time."""
    return tariffs.assigned(store, point_id)


@router.put(
    "/metering-points/{point_id}/tariff",
    response_model=list[tariff_models.Assignment],
    responses=responses(404, 413),
)
def assign_tariff(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: tariff_models.NewAssignment,
) -> Sequence[AssignmentView]:
    """Price a metering point by a tariff from a local day on. Needs the scope configure.

    Until the next assignment; one of the same day is replaced.
    """
    change = Change(account.name, now_ms, wanted.reason)
    return tariffs.assign(store, point_id, wanted.start, wanted.tariff, change)


def _answer(view: TariffView) -> tariff_models.Tariff:
    return tariff_models.Tariff.model_validate(
        msgspec.to_builtins(view.tariff)
        | {"revision": view.revision, "changed_at": view.changed_at}
    )
