"""Routes: rules."""

from collections.abc import Sequence

from fastapi import APIRouter

from cloud.api import models
from cloud.api.deps import READ, TheStore
from cloud.services import rules
from cloud.services.views import RuleView

router = APIRouter(prefix="/rules", tags=["rules"])


@router.get("", response_model=list[models.Rule], dependencies=[READ])
def list_rules(store: TheStore) -> Sequence[RuleView]:
    """All rules, by name."""
    return rules.rules(store)
