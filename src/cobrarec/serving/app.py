"""The application: each address, what it takes and what it answers."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import pyarrow as pa
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from cobrarec import __version__
from cobrarec.data.catalog import ItemId
from cobrarec.errors import ArtifactError, CobraRecError, MachineError, UnsureError, UserError
from cobrarec.retrieval.live_catalog import ChangeResult
from cobrarec.serving import schemas
from cobrarec.serving.asked_lists import AskedLists
from cobrarec.serving.batcher import BusyError
from cobrarec.serving.browse import item_card, parse_prefix, search_items
from cobrarec.serving.gate import Gate, problem
from cobrarec.serving.item_tables import items_table
from cobrarec.serving.json_route import JsonRoute
from cobrarec.serving.meters import Meters
from cobrarec.serving.refusals import told_of
from cobrarec.serving.service import NotInCatalogError, ReadOnlyError, Service

logger = logging.getLogger("cobrarec.serving")
T = TypeVar("T")
LOOK_EVERY = 0.5
"""Seconds between looks whether the client of a request that waits is still there."""
REFUSED = "What lies in the artifact's place is refused, and what was served goes on. The server's log says why."
DESCRIPTION = """Raw histories in, ranked item ids out: COBRA generates an item's semantic ID, then its dense vector.

Lists hold k distinct items wherever k are left. New items can be recommended, and stand in histories, from the next request on."""
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ProblemAnswer, "description": told}
    for status, told in {
        401: "The token is missing or wrong.",
        403: "Asked from where this server does not answer.",
        404: "There is no such item or prefix.",
        409: "Not possible here: the server only reads, or the new artifact is refused.",
        413: "The body is too large.",
        422: "What was given cannot be used; the message says why.",
        503: "Too much waits, or it took too long; ask again after the seconds in `Retry-After`.",
        507: "The disk is full or failed; `code` says whether nothing was changed (`machine`) or that is unknown (`unsure`).",
    }.items()
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: PROBLEMS[status] for status in (*statuses, 403, 413, 422)}


def create_app(service: Service, is_loopback: bool = True) -> FastAPI:
    """The application over a service, which is closed with it.

    Args:
        service: what it serves.
        is_loopback: it listens on loopback alone, and answers requests for localhost alone.
    """
    meters = Meters()
    service.batcher.batch_sizes = meters.batch
    meters.watch("waiting_histories", "Histories that wait for the model.", lambda: service.batcher.num_waiting)
    meters.watch("catalog_version", "Changes made to the items.", lambda: service.recommender.info.catalog_version)
    meters.watch("listed_items", "Items that lists may hold.", lambda: int(service.recommender.catalog.is_listed.sum()))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    quiet: Any = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)  # nothing leaves the machine
    app = FastAPIOffline(
        redoc_url=None,
        title="cobrarec",
        version=__version__,
        description=DESCRIPTION,
        telemetry=quiet,
        lifespan=lifespan,
        swagger_ui_parameters={"validatorUrl": None},
    )
    app.state.service, app.state.meters, app.state.home = service, meters, "docs"
    app.add_middleware(Gate, settings=service.settings, meters=meters, is_loopback=is_loopback, is_leaving=lambda: service.is_leaving)
    _add_lists(app, service)
    _add_items(app, service, meters)
    _add_operations(app, service, meters)
    _add_problems(app)
    return app


def _add_lists(app: FastAPI, service: Service) -> None:
    async def recommend(body: schemas.RecommendRequest, request: Request) -> Response:
        """The best k items for each history."""
        request.state.sizes = f"{len(body.histories)} x {body.k}"
        answer = await _within(service.settings.time_limit, service.batcher.ask(AskedLists(body)), request)
        return Response(answer, media_type="application/json")

    documented: Any = {"response_model": schemas.RecommendAnswer, "responses": _problems(503), "tags": ["lists"]}
    app.router.add_api_route("/recommend", recommend, methods=["POST"], route_class_override=JsonRoute, **documented)

    @app.post("/similar", response_model=schemas.SimilarAnswer, responses=_problems(404), tags=["lists"])
    async def similar(body: schemas.SimilarRequest) -> dict[str, Any]:
        """Items whose vectors are nearest to that of an item."""
        recommender = service.recommender
        item_id = _known(service, body.item_id)
        items = [dataclasses.asdict(item) for item in recommender.similar(item_id, body.k)]
        return {"artifact": recommender.info.artifact, "catalog_version": recommender.info.catalog_version, "items": items}


def _add_items(app: FastAPI, service: Service, meters: Meters) -> None:
    @app.get("/items", response_model=schemas.FoundItems, responses=_problems(), tags=["items"])
    async def find_items(asked: Annotated[schemas.FindItems, Query()]) -> Any:
        """Items whose text holds all of these words, for people who look for one."""
        num_found, items = await run_in_threadpool(search_items, service.recommender, asked.q, asked.limit)
        return {"num_found": num_found, "items": items}

    @app.get("/items/{item_id:path}", response_model=schemas.ItemAnswer, responses=_problems(404), tags=["items"])
    async def get_item(item_id: str) -> Any:
        """What is known of one item."""
        return item_card(service.recommender, _known(service, service.recommender.catalog.parse_id(item_id)))

    @app.get("/semantic-ids", response_model=schemas.SemanticIdAnswer, responses=_problems(), tags=["items"])
    async def get_root() -> Any:
        """All semantic IDs from the first code on, each named by the words of its items."""
        return await run_in_threadpool(_branch, service, [])

    @app.get("/semantic-ids/{prefix}", response_model=schemas.SemanticIdAnswer, responses=_problems(404), tags=["items"])
    async def get_prefix(prefix: schemas.Prefix) -> Any:
        """What lies below a prefix of semantic IDs, such as `12` or `12-7`."""
        return await run_in_threadpool(_branch, service, parse_prefix(prefix))

    @app.put("/items", response_model=schemas.ChangeAnswer, responses=_problems(401, 409, 503, 507), tags=["items"])
    async def put_items(body: schemas.PutRequest, request: Request) -> ChangeResult:
        """Add items, or replace them where the catalog has their ids; all or none, answered when it is on disk."""
        request.state.sizes = f"{len(body.items)} items"
        table: pa.Table = items_table(body.items, service.recommender.catalog)
        outcome = await run_in_threadpool(service.put, table)
        meters.outcome(outcome)
        return outcome

    @app.delete("/items/{item_id:path}", response_model=schemas.ChangeAnswer, responses=_problems(401, 404, 409, 503, 507), tags=["items"])
    async def delete_item(item_id: str) -> ChangeResult:
        """Remove an item: no list will hold it, histories may. Answered when it is on disk."""
        outcome = await run_in_threadpool(service.remove, service.recommender.catalog.parse_id(item_id))
        meters.outcome(outcome)
        return outcome


def _add_operations(app: FastAPI, service: Service, meters: Meters) -> None:
    @app.post("/reload", response_model=schemas.ReloadAnswer, responses=_problems(401, 409, 503), tags=["operations"])
    async def reload() -> Any:
        """Serve what lies in the artifact's place now. A broken artifact is refused and the old one stays; no request fails meanwhile.

        Of several workers the first process loads it, after this answer; `/ready` says when a worker serves it.
        """
        try:
            reloaded = await run_in_threadpool(service.reload)
        except ArtifactError:
            meters.reload("refused")
            raise
        meters.reload("new" if reloaded.is_new else "same")
        return reloaded

    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        """The page where there is one, else the documentation."""
        return RedirectResponse(app.state.home)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", response_model=schemas.Health, responses=_problems(), tags=["operations"])
    async def health() -> Any:
        """The process is alive."""
        return {"status": "alive"}

    @app.head("/ready", include_in_schema=False)
    @app.get("/ready", response_model=schemas.Ready, responses=_problems(), tags=["operations"])
    async def ready() -> Any:
        """An artifact is loaded: this one."""
        info = service.recommender.info
        return {"status": "ready", "artifact": info.artifact, "catalog_version": info.catalog_version}

    @app.get("/info", response_model=schemas.Info, responses=_problems(), tags=["operations"])
    async def info() -> Any:
        """The card of what is served."""
        return await run_in_threadpool(service.card)

    @app.get("/metrics", response_class=Response, responses=_problems(401), tags=["operations"])
    async def metrics() -> Response:
        """Counts and times for Prometheus."""
        return Response(meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_problems(app: FastAPI) -> None:
    """Every answer that is no success has one form, and tells nothing of the inside."""

    def answer(request: Request, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
        body = problem(code, message, request.state.request_id)
        return Response(body, status, headers, media_type="application/json")

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> Response:
        return answer(request, 422, "invalid", told_of(error.errors(), _fields(request)))

    @app.exception_handler(CobraRecError)
    async def _(request: Request, error: CobraRecError) -> Response:
        message = str(error)
        if isinstance(error, BusyError):
            return answer(request, 503, "busy", message, {"retry-after": "1"})
        if isinstance(error, ReadOnlyError):
            return answer(request, 409, "read_only", message)
        if isinstance(error, UnsureError):
            logger.error("%s: %s", request.state.request_id, error)
            return answer(request, 507, "unsure", "The disk failed; whether the change was made shows after a reload.")
        if isinstance(error, MachineError):
            logger.error("%s: %s", request.state.request_id, error)
            return answer(request, 507, "machine", "The disk is full or failed; nothing was changed. The server's log has the rest.")
        if isinstance(error, ArtifactError):
            logger.error("%s: %s", request.state.request_id, error)
            return answer(request, 409, "artifact_refused", REFUSED)
        if isinstance(error, NotInCatalogError):
            return answer(request, 404, "not_found", message)
        if isinstance(error, UserError):
            return answer(request, 422, "invalid", message)
        raise error

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # the framework's word for a body that its parser gave up
            return answer(request, 422, "invalid", "The body cannot be read: it is no UTF-8, or nested too deep.")
        if error.status_code == 404:
            return answer(request, 404, "not_found", "There is no such address; /docs lists them.", error.headers)
        allowed = (error.headers or {}).get("Allow", "")
        told = f"This address takes {allowed}." if error.status_code == 405 and allowed else str(error.detail)
        return answer(request, error.status_code, "invalid", told, error.headers)


def service_of(request: Request) -> Service:
    """The service of the application that a request came to."""
    return request.app.state.service


def _known(service: Service, item_id: ItemId) -> ItemId:
    """The id, of which there is an item; raises NotInCatalogError where there is none."""
    if item_id not in service.recommender.catalog:
        raise NotInCatalogError(f"The catalog lacks the item {item_id!r}.")
    return item_id


def _branch(service: Service, prefix: list[int]) -> dict[str, Any]:
    """What lies below a prefix; raises NotInCatalogError where nothing does."""
    recommender = service.recommender
    branch = service.id_browser(recommender).branch(recommender, prefix)
    if branch is None:
        raise NotInCatalogError(f"No item has a semantic ID that begins with {'-'.join(map(str, prefix))}.")
    return branch


def _fields(request: Request) -> list[str]:
    """Names of what the address of a request takes: fields of its body, or parameters."""
    route = request.scope["route"]
    models = [] if route.body_field is None else [route.body_field.field_info.annotation]
    models += [parameter.field_info.annotation for parameter in route.dependant.query_params]
    return [name for model in models for name in getattr(model, "model_fields", {})]


async def _within(seconds: float, work: "asyncio.Future[T]", request: Request) -> T:
    """The result of `work`, unless it takes too long or the client goes away; then the work is left."""
    until = time.monotonic() + seconds
    try:
        while not work.done():
            left = until - time.monotonic()
            if left <= 0:
                raise BusyError(f"The lists took longer than {seconds:g} s; ask again, or for fewer at once.")
            await asyncio.wait((work,), timeout=min(left, LOOK_EVERY))
            if not work.done() and await request.is_disconnected():
                raise BusyError("The client went away.")
        return work.result()
    finally:
        work.cancel()
