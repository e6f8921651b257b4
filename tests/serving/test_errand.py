import asyncio

import pytest
from small_server import artifact_in, in_process, item_ids

from cobrarec.errors import DataError
from cobrarec.serving.errand import Errand


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with in_process(artifact_in(tmp_path_factory.mktemp("errand"))) as pair:
        yield pair


def sent(service, run):
    """What an errand brings."""

    async def waited():
        return await service.batcher.ask(Errand(run))

    return asyncio.run(waited())


def test_an_errand_is_run_with_the_recommender_that_is_served(served):
    _, service = served
    assert sent(service, lambda recommender: recommender) is service.recommender


def test_what_goes_wrong_with_an_errand_goes_to_who_sent_it_alone(served):
    client, service = served

    def fails(_):
        raise DataError("no")

    with pytest.raises(DataError, match="^no$"):
        sent(service, fails)
    assert client.post("/recommend", json={"histories": [item_ids()[:2]]}).status_code == 200


def test_errands_never_go_together():
    one, other = Errand(lambda _: 1), Errand(lambda _: 1)
    assert one.key != other.key
    assert one.key == one.key
    assert one.size == 1
