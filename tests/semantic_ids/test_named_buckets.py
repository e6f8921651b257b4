import json

import numpy as np
from themed_catalogs import themed_texts

from cobrarec.semantic_ids.named_buckets import NUM_TITLES, named_buckets
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.semantic_ids.typical_words import TypicalWords


def named_by(codes: list[list[int]]) -> tuple[list[str], TypicalWords]:
    texts = themed_texts(len(codes))
    return texts, TypicalWords.of(texts, SemanticIds.from_codes(np.array(codes, np.int32).reshape(len(codes), -1), 4))


def test_the_largest_buckets_come_first_with_the_words_of_each_code() -> None:
    texts, named = named_by([[i % 4, int(i > 60)] for i in range(100)])
    records = named_buckets(named, texts, np.zeros(100, np.int64), 5)
    assert [(record["semantic_id"], record["num_items"]) for record in records[:5]] == [
        ([0, 0], 16),
        ([1, 0], 15),
        ([2, 0], 15),
        ([3, 0], 15),
        ([1, 1], 10),
    ]
    for record in records:
        assert record["words"] == named.path(record["semantic_id"])
        members = {texts[row] for row in named.semantic_ids.bucket(named.semantic_ids.find(record["semantic_id"]))}
        assert len(record["titles"]) == NUM_TITLES
        assert set(record["titles"]) <= members
    assert json.loads(json.dumps(records))[0]["words"][0]


def test_a_title_is_shown_once() -> None:
    _, named = named_by([[0]] * 8)
    assert named_buckets(named, ["twice"] * 8, np.zeros(8, np.int64))[0]["titles"] == ["twice"]


def test_without_levels_no_bucket_has_a_name() -> None:
    _, named = named_by([[] for _ in range(8)])
    assert named_buckets(named, [""] * 8, np.zeros(8, np.int64)) == []
