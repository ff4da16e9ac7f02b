"""Routes: the energy of gas that is counted as volume."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from cloud.api import gas_models, point_models
from cloud.api.deps import READ, Configurer, NowMs, RowId, TheStore, span_ms
from cloud.api.errors import responses
from cloud.api.etags import IfMatch
from cloud.api.registers import End, Start
from cloud.domain.consumption import Step
from cloud.domain.gas_energy import CalorificValue, GasArea, GasPoint, GasState, state_number
from cloud.services import gas_energy
from cloud.services.definitions import Definition
from cloud.services.gas_energy import EnergyView
from cloud.services.point_views import ChangeView
from cloud.services.points import Change
from common.clock import to_datetime

router = APIRouter(tags=["gas"])

AreaKey = Annotated[str, Path(max_length=48, description="The gas area's key")]


@router.get("/gas-areas", response_model=list[gas_models.GasArea], dependencies=[READ])
def list_gas_areas(store: TheStore) -> list[gas_models.GasArea]:
    """All gas areas, by key."""
    return [_area(one) for one in gas_energy.areas(store)]


@router.get(
    "/gas-areas/{key}",
    response_model=gas_models.GasArea,
    responses=responses(404),
    dependencies=[READ],
)
def get_gas_area(store: TheStore, key: AreaKey) -> Response:
    """One gas area, with all its calorific values."""
    return _json(_area(gas_energy.area(store, key)))


@router.put(
    "/gas-areas/{key}", response_model=gas_models.GasArea, responses=responses(404, 412, 413)
)
def put_gas_area(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    key: AreaKey,
    wanted: gas_models.NewGasArea,
    seen: IfMatch,
) -> gas_models.GasArea:
    """Make a gas area, or replace the whole of it. Needs the scope configure.

    Energy is derived, so that it is another one at once, also of the past. With If-Match nothing
    is replaced that the caller has not seen. The same again changes nothing.
    """
    values = tuple(
        CalorificValue(
            valid_from=one.valid_from,
            valid_until=one.valid_until,
            hs=one.hs,
            preliminary=one.preliminary,
        )
        for one in wanted.values
    )
    area = GasArea(key=key, name=wanted.name, values=values)
    change = Change(account.name, now_ms, wanted.reason)
    found = gas_energy.put_area(
        store, area, change, lambda now: seen.holds(_content(_area(now)) if now else b"")
    )
    return _area(found)


@router.get(
    "/gas-areas/{key}/changes",
    response_model=list[point_models.Change],
    responses=responses(404),
    dependencies=[READ],
)
def list_gas_area_changes(store: TheStore, key: AreaKey) -> Sequence[ChangeView]:
    """What was done to a gas area, newest first, each with its definition: at most 500."""
    return gas_energy.area_changes(store, key)


@router.get(
    "/metering-points/{point_id}/gas",
    response_model=gas_models.GasPoint,
    responses=responses(404),
    dependencies=[READ],
)
def get_gas(store: TheStore, point_id: RowId) -> Response:
    """How the volume of a metering point becomes energy."""
    return _json(_point(gas_energy.get(store, point_id)))


@router.put(
    "/metering-points/{point_id}/gas",
    response_model=gas_models.GasPoint,
    responses=responses(404, 412, 413),
)
def put_gas(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    point_id: RowId,
    wanted: gas_models.NewGasPoint,
    seen: IfMatch,
) -> gas_models.GasPoint:
    """State numbers and gas areas of a metering point, all of them. Needs the scope configure.

    The medium has to be gas, the kind volume. With If-Match nothing is replaced that the caller
    has not seen. The same again changes nothing.
    """
    states = tuple(
        GasState(valid_from=one.valid_from, z=one.z, area=one.area) for one in wanted.states
    )
    change = Change(account.name, now_ms, wanted.reason)
    return _point(
        gas_energy.put(
            store,
            point_id,
            GasPoint(states=states),
            change,
            lambda now: seen.holds(_content(_point(now))),
        )
    )


@router.get(
    "/metering-points/{point_id}/energy",
    response_model=list[gas_models.Energy],
    responses=responses(404),
    dependencies=[READ],
)
def list_energy(
    *,
    store: TheStore,
    now_ms: NowMs,
    point_id: RowId,
    start: Start,
    end: End = None,
    step: Annotated[Step, Query(description="By the clock of the site")] = Step.DAY,
) -> Sequence[EnergyView]:
    """Volume and energy of each local period that overlaps the span.

    Of a metering point of medium gas and kind volume. At most 1500 periods and 4000 days. The sum
    of the hours is that of the days, the months, the years, exactly.
    """
    until = end or to_datetime(now_ms)
    span_ms(start, until)
    return gas_energy.energy(store, point_id, step, start, until)


@router.get("/gas-state-number", response_model=gas_models.StateNumber, dependencies=[READ])
def get_state_number(
    altitude_m: Annotated[Decimal, Query(ge=-500, le=5000, description="Of the meter")],
    pressure_mbar: Annotated[Decimal, Query(ge=0, le=100_000, description="Above the air's")],
    temperature_c: Annotated[Decimal, Query(ge=-50, le=100)] = Decimal(15),
    compressibility: Annotated[Decimal, Query(ge=Decimal("0.1"), le=2)] = Decimal(1),
) -> gas_models.StateNumber:
    """What z is by DVGW G 685, of dry gas: to check what an operator says, or where nobody does."""
    z = state_number(altitude_m, pressure_mbar, temperature_c, compressibility)
    return gas_models.StateNumber(
        z=z,
        altitude_m=altitude_m,
        pressure_mbar=pressure_mbar,
        temperature_c=temperature_c,
        compressibility=compressibility,
    )


def _area(found: Definition[GasArea]) -> gas_models.GasArea:
    return gas_models.GasArea.model_validate(
        {
            "key": found.value.key,
            "name": found.value.name,
            "values": [gas_models.CalorificValue.model_validate(one) for one in found.value.values],
            "revision": found.revision,
            "changed_at": found.changed_at,
        }
    )


def _point(found: Definition[GasPoint]) -> gas_models.GasPoint:
    return gas_models.GasPoint(
        states=[gas_models.GasState.model_validate(one) for one in found.value.states],
        revision=found.revision,
        changed_at=found.changed_at,
    )


def _content(found: gas_models.GasArea | gas_models.GasPoint) -> bytes:
    """What a GET answers with, of which its ETag is made."""
    return found.model_dump_json().encode()


def _json(found: gas_models.GasArea | gas_models.GasPoint) -> Response:
    return Response(_content(found), media_type="application/json")
