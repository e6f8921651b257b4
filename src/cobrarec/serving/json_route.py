"""JsonRoute: an address whose body is one model and whose answer is made here, without what FastAPI does for all other kinds of addresses.

`/recommend` is asked thousands of times a second at best, and most of the time between a request and the batcher is the framework's.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError


class JsonRoute(APIRoute):
    """A route whose endpoint is called with the checked body and the request, and gives a `Response`. Documented as any other."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request; raises RequestValidationError as FastAPI's own does, and for a body that is nested too deep."""
        other = self.dependant
        assert self.body_field is not None
        assert not [*other.dependencies, *other.query_params, *other.path_params, *other.header_params], "it reads the body alone"
        model: type[BaseModel] = self.body_field.field_info.annotation  # type: ignore[assignment]

        async def handle(request: Request) -> Response:
            """Read, check, answer."""
            return await self.endpoint(_checked(model, request.headers.get("content-type", ""), await request.body()), request)

        return handle


def _checked(model: type[BaseModel], content_type: str, body: bytes) -> BaseModel:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise _refused([{"loc": (), "msg": "The header `content-type: application/json` is missing"}])
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        raise _refused(error.errors(include_url=False)) from None
    except RecursionError:
        raise _refused([{"loc": (), "msg": "The body is nested too deep"}]) from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise _refused([{"loc": (), "msg": f"The body is no JSON: {error}"}]) from None


def _refused(errors: list[Any]) -> RequestValidationError:
    return RequestValidationError([{**error, "loc": ("body", *error["loc"])} for error in errors])
