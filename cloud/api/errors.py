"""Errors as ``application/problem+json`` (RFC 9457). No traceback reaches a client."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from common.errors import InMetterError, NotAllowed, NotFound, Outdated, Retryable
from common.logs import events

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
AWAY = "this cannot be done at the moment; try again"
EXAMPLES = {
    401: "a bearer token is needed",
    403: "this token has no scope command",
    404: "there is no gateway 9",
    412: "the configuration of gateway hall-1 is another one by now",
    413: "a request's body has at most 65536 bytes",
    415: "the body is a file, of content type text/csv",
    422: "end must be later than start",
    429: "too many requests: wait 1 s",
    503: AWAY,
}
"""Of each status of ours, what a problem may say."""


class FieldError(BaseModel):
    """One thing wrong with a request."""

    field: str = Field(description="Where: query.limit, body.value …")
    detail: str


class Problem(BaseModel):
    """What every error looks like."""

    type: str = "about:blank"
    title: str = Field(description="The HTTP status in words")
    status: int
    detail: str = Field(description="What happened, for a person")
    errors: list[FieldError] = Field(default=[], description="Of a request that is not valid")


def responses(*statuses: int) -> dict[int | str, dict[str, object]]:
    """For OpenAPI: these statuses answer with a Problem."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": _body(status, EXAMPLES[status]),
                }
            },
        }
        for status in statuses
    }


def problem(
    status: int,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response for an error."""
    return JSONResponse(
        _body(status, detail, errors),
        status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def _body(status: int, detail: str, errors: list[FieldError] | None = None) -> dict[str, object]:
    title = HTTPStatus(status).phrase
    body = Problem(title=title, status=status, detail=detail, errors=errors or [])
    return body.model_dump(exclude={"errors"} if not errors else None)


def _of_ours(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, NotFound):
        return problem(404, str(error))
    if isinstance(error, NotAllowed):
        return problem(403, str(error))
    if isinstance(error, Outdated):
        return problem(412, str(error))
    if isinstance(error, Retryable):
        events.warning("%s %s: %s", request.method, request.url.path, error)
        return problem(
            503,
            AWAY,
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    return problem(422, str(error))


def _of_validation(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    wrong = [
        FieldError(field=".".join(str(part) for part in one["loc"]), detail=str(one["msg"]))
        for one in found
    ]
    return problem(422, "the request is not valid", errors=wrong)


def _of_http(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return _of_anything(_request, error)
    if error.status_code == 400:  # FastAPI's, for a body whose bytes are no text
        return problem(422, "the body is not JSON in UTF-8")
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _of_anything(request: Request, error: Exception) -> JSONResponse:
    events.error("%s %s: %s", request.method, request.url.path, type(error).__name__)
    return problem(500, "something went wrong here; it has been logged")


def handle_errors(app: FastAPI) -> None:
    """Let ``app`` answer every error with a Problem."""
    app.add_exception_handler(InMetterError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_anything)
