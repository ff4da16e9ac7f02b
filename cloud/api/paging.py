"""Lists that grow come in pages; a cursor says where the next page begins.

A page begins behind the key of the last row of the one before it: what is stored in between makes
no row come twice, and hides none. The cursor is that key, for one list and its filters; it is
opaque, but no secret.
"""

import base64
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import URL, QueryParams

from cloud.api.examples import CURSOR
from common.errors import Permanent

Item = TypeVar("Item")
Key = TypeVar("Key")

CHECK_BYTES = 12
GREATEST = 2**62
"""No number in a key is greater; databases have 63 bits."""

Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next` of the page before this one, as it is"),
]


class Page(BaseModel, Generic[Item]):
    """A part of a list, and where to go on."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Item]
    next: str | None = Field(
        description="Give it as `cursor`; null: there is no more", examples=[CURSOR]
    )


@dataclass(frozen=True, slots=True)
class Slice(Generic[Item]):
    """What becomes a Page."""

    items: Sequence[Item]
    next: str | None


class Pager:
    """What was asked of a list: at most ``limit`` rows, from behind the row of a cursor on."""

    def __init__(self, url: URL, response: Response, limit: int, cursor: str | None) -> None:
        self._url, self._response, self._cursor = url, response, cursor
        self.limit = limit
        self.enough = limit + 1
        """So many rows tell whether there is a page after this one."""

    def after(self, shape: type[Key]) -> Key | None:
        """The key of the last row that the caller has; None at the beginning.

        Raises Permanent for a cursor that this list, with these filters, has not given.
        """
        if self._cursor is None:
            return None
        try:
            content = base64.urlsafe_b64decode(self._cursor)[CHECK_BYTES:]
            key = msgspec.json.decode(content, type=shape)
        except (ValueError, msgspec.MsgspecError) as error:
            raise self._foreign() from error
        parts = key if isinstance(key, tuple) else (key,)
        numbers = (part for part in parts if isinstance(part, int))
        if self._cursor != self._encode(key) or any(abs(one) > GREATEST for one in numbers):
            raise self._foreign()
        return key

    def page(self, found: Sequence[Item], key: Callable[[Item], object]) -> Slice[Item]:
        """A page of ``found``, which are ``enough`` rows, or fewer when there are no more."""
        items = found[: self.limit]
        if len(found) <= self.limit:
            return Slice(items, None)
        following = self._encode(key(items[-1]))
        url = self._url.include_query_params(cursor=following)
        self._response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
        return Slice(items, following)

    def _encode(self, key: object) -> str:
        content = msgspec.json.encode(key)
        filters = sorted(
            one for one in QueryParams(self._url.query).multi_items() if one[0] not in _OF_PAGES
        )
        bound = msgspec.json.encode((self._url.path, filters))
        check = hashlib.sha256(bound + content).digest()[:CHECK_BYTES]
        return base64.urlsafe_b64encode(check + content).decode()

    @staticmethod
    def _foreign() -> Permanent:
        return Permanent(
            "cursor: it is not one of this list with these parameters: give `next` of the page"
            " before as it is, with the same parameters, or begin without a cursor"
        )


_OF_PAGES = {"limit", "cursor"}


def paged(usual: int, most: int) -> Callable[..., Coroutine[Any, Any, Pager]]:
    """A dependency: the Pager of a list whose pages have ``usual`` rows, and ``most`` at most."""

    async def pager(
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=most, description="The most items")] = usual,
        cursor: Cursor = None,
    ) -> Pager:
        return Pager(request.url, response, limit, cursor)

    return pager
