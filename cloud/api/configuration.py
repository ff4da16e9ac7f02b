"""Routes: gateways' configurations."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from cloud.api import models
from cloud.api.deps import READ, Configurer, NowMs, RowId, TheStore
from cloud.api.errors import responses
from cloud.api.etags import IfMatch
from cloud.api.paging import Page, Pager, Slice, paged
from cloud.services import configuration
from cloud.services.views import ConfigurationView, ConfigVersionView

router = APIRouter(prefix="/gateways/{gateway_id}/configuration", tags=["gateways"])

Number = Annotated[int, Path(ge=1, le=2**53, description="As listed")]


@router.get("", response_model=models.Configuration, responses=responses(404), dependencies=[READ])
def get_configuration(store: TheStore, gateway_id: RowId) -> Response:
    """What is desired of a gateway, and what it reports."""
    found = configuration.get(store, gateway_id)
    return Response(_content(found), media_type="application/json")


@router.put("", response_model=models.Configuration, responses=responses(404, 412, 413))
def desire_configuration(
    *,
    store: TheStore,
    now_ms: NowMs,
    account: Configurer,
    gateway_id: RowId,
    wanted: models.NewConfiguration,
    seen: IfMatch,
) -> ConfigurationView:
    """Have a gateway run by this configuration. Needs the scope configure.

    Watch `desired.state`: the gateway says whether it can run by it. The same text again makes no
    other version, unless the gateway has refused it. With If-Match nothing is replaced that the
    caller has not seen.
    """
    return configuration.desire(
        store,
        gateway_id,
        wanted.toml,
        set_by=account.name,
        reason=wanted.reason,
        now_ms=now_ms,
        replaces=lambda found: seen.holds(_content(found)),
    )


def _content(found: ConfigurationView) -> bytes:
    """What a GET answers with, of which its ETag is made."""
    return models.Configuration.model_validate(found).model_dump_json().encode()


@router.get(
    "/versions",
    response_model=Page[models.ConfigVersion],
    responses=responses(404),
    dependencies=[READ],
)
def list_versions(
    store: TheStore, gateway_id: RowId, pager: Annotated[Pager, Depends(paged(100, 1000))]
) -> Slice[ConfigVersionView]:
    """All that was ever desired of a gateway, newest first."""
    found = configuration.versions(store, gateway_id, pager.enough, pager.after(int))
    return pager.page(found, lambda one: one.version)


@router.get(
    "/versions/{version}",
    response_model=models.ConfigVersionText,
    responses=responses(404),
    dependencies=[READ],
)
def get_version(store: TheStore, gateway_id: RowId, version: Number) -> ConfigVersionView:
    """One version, with its text."""
    return configuration.version(store, gateway_id, version)
