"""Requests that schemathesis makes up from the documentation: answers must be what it says, and nothing is a fault of the server."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import positive_data_acceptance
from small_server import artifact_in, fitted_run

from cobrarec.serving.app import create_app
from cobrarec.serving.server_settings import ServerSettings
from cobrarec.serving.service import Service

# What a catalog can take, its columns and the type of its ids, is beyond what the schema says: such requests are refused in words.
LEFT_OUT = [positive_data_acceptance]
METHODS = ("get", "put", "post", "delete")


def operations(folder):
    app = create_app(Service(folder, ServerSettings()), is_loopback=False)
    return {operation.ok().label: operation.ok() for operation in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()}


def ask(operation, num_examples):
    @settings(max_examples=num_examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def all_answers_are_as_documented(case):
        case.call_and_validate(excluded_checks=LEFT_OUT)

    all_answers_are_as_documented()


def test_a_few_made_up_requests_to_every_address(tmp_path):
    assert fitted_run().exists()
    found = operations(artifact_in(tmp_path))
    assert len(found) == 13
    for operation in found.values():
        ask(operation, 10)


@pytest.mark.slow
def test_many_made_up_requests_to_every_address(tmp_path):
    for operation in operations(artifact_in(tmp_path)).values():
        ask(operation, 1000)
