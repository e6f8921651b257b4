import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.testclient import TestClient
from pydantic import BaseModel, StrictInt

from cobrarec.serving.json_route import JsonRoute


class Sum(BaseModel):
    terms: list[StrictInt]


@pytest.fixture(scope="module")
def both():
    """Two applications with the same address: this route's and FastAPI's own."""
    clients = []
    for route_class in (JsonRoute, None):
        app = FastAPI()
        router = APIRouter(**({} if route_class is None else {"route_class": route_class}))

        async def total(body: Sum, request: Request) -> Response:
            return Response(f"{sum(body.terms)} {request.method}", media_type="text/plain")

        router.post("/sum", response_model=str)(total)
        app.include_router(router)

        @app.exception_handler(RequestValidationError)
        async def _(request, error):
            return Response("; ".join(".".join(map(str, one["loc"])) for one in error.errors()), 422)

        clients.append(TestClient(app, raise_server_exceptions=False))
    return clients


def test_it_answers_as_fastapi_would(both):
    for client in both:
        answer = client.post("/sum", json={"terms": [1, 2]})
        assert (answer.status_code, answer.text) == (200, "3 POST")


def test_it_is_documented_as_fastapi_would(both):
    documents = [client.get("/openapi.json").json() for client in both]
    assert documents[0] == documents[1]


@pytest.mark.parametrize("body", [{"terms": [1, "2"]}, {"terms": None}, {}, [], 3, None])
def test_it_refuses_what_fastapi_refuses_and_names_the_same_place(both, body):
    answers = [client.post("/sum", json=body) for client in both]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].text == answers[1].text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"terms": [1]', "application/json"),
        (b'{"terms": [1]}\xff', "application/json"),
        (b"", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"terms": [1]}', "text/plain"),
        (b'{"terms": [1]}', ""),
    ],
)
def test_what_is_no_json_is_refused(both, content, kind):
    answers = [client.post("/sum", content=content, headers={"content-type": kind}).status_code for client in both]
    assert answers[0] == 422
    assert answers[1] in (422, 400), "its own word for what its parser gives up"


def test_an_endpoint_with_other_parameters_is_refused_at_once():
    router = APIRouter(route_class=JsonRoute)
    with pytest.raises(AssertionError):

        @router.post("/sum")
        async def total(body: Sum, request: Request, times: int) -> Response:
            return Response()


def test_json_goes_by_other_spellings_of_its_name(both):
    headers = {"content-type": "Application/JSON ; charset=utf-8"}
    assert both[0].post("/sum", content=b'{"terms": []}', headers=headers).text == "0 POST"
