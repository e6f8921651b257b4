import pytest

from cobrarec.cli.items import outcome_text
from cobrarec.retrieval.live_catalog import ChangeResult


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (ChangeResult(added=1200, changed=3, catalog_version=7), "1,200 added, 3 changed; catalog version 7"),
        (ChangeResult(removed=1, catalog_version=2), "1 removed; catalog version 2"),
        (ChangeResult(), "nothing to do; catalog version 0"),
    ],
)
def test_only_what_happened_is_told(outcome, text):
    assert outcome_text(outcome) == text
