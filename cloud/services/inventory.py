"""The sites, and how many gateways and meters stand on them."""

from collections import Counter

from cloud.services.gateways import gateway_views
from cloud.services.views import SiteView
from cloud.storage.unit_of_work import Store
from common.clock import SystemClock
from common.errors import NotFound
from common.registers import KINDS

_COUNTING = [kind.value for kind, info in KINDS.items() if info.counting]


def sites(store: Store, now_ms: int | None = None) -> list[SiteView]:
    """All sites, by name; ``now_ms`` (by default, now) decides which gateways are online."""
    now = SystemClock().now_ms() if now_ms is None else now_ms
    with store.read() as uow:
        rows = uow.meters.sites(_COUNTING)
        gateways = gateway_views(uow, now)
    all_of = Counter(gateway.site for gateway in gateways)
    online_of = Counter(gateway.site for gateway in gateways if gateway.online)
    return [
        SiteView(
            id=row.id,
            key=row.key,
            name=row.name,
            timezone=row.timezone,
            gateways=all_of[row.key],
            gateways_online=online_of[row.key],
            meters=row.meters,
        )
        for row in rows
    ]


def site(store: Store, site_id: int, now_ms: int | None = None) -> SiteView:
    """One site; raises NotFound."""
    found = next((site for site in sites(store, now_ms) if site.id == site_id), None)
    if found is None:
        raise NotFound(f"there is no site {site_id}")
    return found
