import math
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from themed_catalogs import WORDS, themed_texts

from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.semantic_ids.typical_words import TypicalWords, likelihood_ratio

SIZE = 3
VOCABULARY = ["red", "Red", "car", "boat", "the", "9 mm", "blue", "tin", "x"]


@st.composite
def catalogs(draw: st.DrawFn) -> tuple[list[str], SemanticIds]:
    num_items, num_levels = draw(st.integers(1, 25)), draw(st.integers(0, 3))
    texts = [" ".join(draw(st.lists(st.sampled_from(VOCABULARY), max_size=5))) for _ in range(num_items)]
    codes = draw(
        st.lists(st.lists(st.integers(0, SIZE - 1), min_size=num_levels, max_size=num_levels), min_size=num_items, max_size=num_items)
    )
    return texts, SemanticIds.from_codes(np.array(codes, np.int32).reshape(num_items, num_levels), SIZE)


def ratio_by_hand(below: list[set[str]], beside: list[set[str]], word: str) -> float:
    """Dunning's G2, cell by cell."""
    num_all = len(below) + len(beside)
    total = 0.0
    for has in (True, False):
        in_all = sum((word in item) == has for item in below + beside)
        for group in (below, beside):
            observed = sum((word in item) == has for item in group)
            total += 2 * observed * math.log(observed * num_all / (in_all * len(group))) if observed else 0.0
    more = sum(word in item for item in below) * len(beside) > sum(word in item for item in beside) * len(below)
    return total if more else -total


def parts(word: str, below: list[set[str]], beside: list[set[str]]) -> bool:
    """Whether half of the items below carry a word, and beside a third of that share at most."""
    shares = [sum(word in item for item in group) / len(group) if group else 1.0 for group in (below, beside)]
    return shares[0] >= 0.5 and shares[0] >= 3 * shares[1] - 1e-9


def carried(text: str) -> set[str]:
    return {word.casefold() for word in text.split() if word.isalpha() and len(word) > 1}


def ranked_by_hand(texts: list[str], ids: SemanticIds, codes: tuple[int, ...], common: set[str]) -> list[str]:
    """The words of a prefix, read item by item."""
    items = [carried(text) for text in texts]

    def rows_of(start: tuple[int, ...]) -> list[int]:
        return [row for row in range(ids.num_items) if tuple(ids.codes[row, : len(start)]) == start]

    rows = rows_of(codes)
    around = next((rows_of(codes[:length]) for length in range(len(codes) - 1, -1, -1) if len(rows_of(codes[:length])) > len(rows)), rows)
    below, beside = [items[row] for row in rows], [items[row] for row in around if row not in rows]
    counts = Counter(word for item in below for word in item)
    score = {word: ratio_by_hand(below, beside, word) if beside else 0.0 for word in counts}
    enough = max(min(2, len(rows)), 0.1 * len(rows))
    own = [word for word in counts if word not in common or parts(word, below, beside)]
    kinds = ([word for word in own if counts[word] >= enough and score[word] > 0], [word for word in own if score[word] > 0], own)
    best = next((kind for kind in kinds if kind), list(counts))
    return sorted(best, key=lambda word: (-round(score[word], 9), -counts[word], word))


@settings(max_examples=50, deadline=None)
@given(catalogs())
def test_the_words_of_every_prefix_are_those_found_item_by_item(catalog: tuple[list[str], SemanticIds]) -> None:
    texts, ids = catalog
    named = TypicalWords.of(texts, ids)
    common = {word.casefold() for word, is_common in zip(named.table.shown, named.is_common, strict=True) if is_common}
    for level in range(ids.num_levels + 1):
        for prefix, codes in enumerate(sorted({tuple(row[:level].tolist()) for row in ids.codes})):
            found = [word.casefold() for word in named.ranked_words(level, prefix)]
            assert found == ranked_by_hand(texts, ids, codes, common)


@settings(max_examples=50, deadline=None)
@given(catalogs())
def test_a_prefix_has_words_wherever_its_items_have_any(catalog: tuple[list[str], SemanticIds]) -> None:
    texts, ids = catalog
    for max_words in (1 << 18, 1):
        named = TypicalWords.of(texts, ids, max_words)
        for level in range(ids.num_levels + 1):
            ranges = ids.item_ranges(level)
            for prefix in range(ids.num_prefixes[level]):
                rows = ids.bucket_rows[ranges[prefix] : ranges[prefix + 1]]
                words = named.words(level, prefix)
                assert len(words) <= 3
                assert bool(words) == any(texts[row] for row in rows)
                assert words == named.words(level, prefix) == TypicalWords.of(texts, ids, max_words).words(level, prefix)


def themed() -> tuple[list[str], TypicalWords]:
    """Four themes by the first code; the second code parts each by a color, and every item is new and from the shop."""
    colors = ["green", "violet"]
    texts = [f"The {text} {colors[i // 4 % 2]} of new" for i, text in enumerate(themed_texts(160))]
    codes = np.array([[i % 4, i // 4 % 2] for i in range(160)], np.int32)
    return texts, TypicalWords.of(texts, SemanticIds.from_codes(codes, 4))


def test_a_first_code_is_named_by_its_theme() -> None:
    _, named = themed()
    for theme, words in WORDS.items():
        assert {word for entry in named.words(1, theme) for word in entry.split()} <= set(words.split())


def test_a_second_code_is_told_from_those_beside_it() -> None:
    _, named = themed()
    for theme in WORDS:
        first, second = (named.path((theme, code), 1)[1] for code in (0, 1))
        assert (first, second) == (("green",), ("violet",))


def test_what_everybody_has_names_nothing() -> None:
    _, named = themed()
    assert {word for word, common in zip(named.table.shown, named.is_common, strict=True) if common} >= {"The", "new", "of"}
    assert not {"The", "new", "of"} & {word for theme in WORDS for word in named.ranked_words(1, theme)}


def test_common_words_name_what_has_no_others() -> None:
    named = TypicalWords.of(["the new"] * 8, SemanticIds.from_codes(np.array([[0], [1]] * 4, np.int32), 2))
    assert named.words(1, 1) == ("the new",)


def test_the_word_of_one_item_does_not_name_ninety() -> None:
    texts = [f"doll {'acme' * (i == 0)}" for i in range(90)] + ["train"] * 90
    named = TypicalWords.of(texts, SemanticIds.from_codes(np.repeat([[0], [1]], 90, axis=0).astype(np.int32), 2))
    assert named.words(1, 0) == ("doll",)


def test_the_only_child_bears_the_words_of_its_parent() -> None:
    codes = np.array([[i % 4, 2] for i in range(160)], np.int32)
    only = TypicalWords.of(themed_texts(160), SemanticIds.from_codes(codes, 4))
    assert all(only.words(1, theme) == only.words(2, theme) for theme in range(4))


def test_a_path_has_the_words_of_each_code_and_none_where_no_item_is() -> None:
    _, named = themed()
    assert named.path((3, 1)) == (named.words(1, 3), named.words(2, 7))
    assert named.path((3, 9)) == (named.words(1, 3), ())
    assert named.path((-1, 0)) == ((), ())
    assert named.path(()) == ()


def test_the_typical_items_carry_most_of_the_words_and_the_popular_come_first() -> None:
    texts = ["doll", "doll dress", "dress doll", "doll hat", "train", "train rail"]
    named = TypicalWords.of(texts, SemanticIds.from_codes(np.array([[0]] * 4 + [[1]] * 2, np.int32), 2))
    assert named.typical_rows(1, 0, 3).tolist() == [1, 2, 0]
    assert named.typical_rows(1, 0, 2, np.array([0, 1, 9, 0, 0, 0])).tolist() == [2, 1]
    assert named.typical_rows(1, 1, 9).tolist() == [4, 5]


def test_ids_without_levels_are_named_by_what_most_items_carry() -> None:
    named = TypicalWords.of(["doll red", "doll blue", "doll"], SemanticIds.from_codes(np.zeros((3, 0), np.int32), 4))
    assert named.words(0, 0)[0] == "doll"
    assert named.path(()) == ()


def test_rows_in_no_bucket_are_not_counted() -> None:
    whole = SemanticIds.from_codes(np.array([[0], [1], [1]], np.int32), 2)
    removed = SemanticIds(
        whole.codes, 2, whole.child, whole.parent, whole.last_code, np.array([0, 1, -1]), np.array([0, 1, 2]), whole.bucket_rows[:2]
    )
    named = TypicalWords.of(["doll", "train", "boat"], removed)
    assert named.words(1, 1) == ("train",)
    assert named.table.shown == ("doll", "train")


def test_what_is_not_there_is_refused() -> None:
    texts, named = themed()
    with pytest.raises(ValueError, match=r"Level 3 was asked for, expected 0\.\.2"):
        named.words(3, 0)
    with pytest.raises(ValueError, match=r"Prefix 8 of level 2 was asked for, expected 0\.\.7"):
        named.typical_rows(2, 8, 1)
    with pytest.raises(ValueError, match="159 texts for 160 items"):
        TypicalWords.of(texts[1:], named.semantic_ids)


@pytest.mark.parametrize("n", [1, 40])
def test_names_are_as_long_as_asked(n: int) -> None:
    _, named = themed()
    assert 1 <= len(named.words(1, 0, n)) <= n


def test_the_ratio_is_that_of_the_textbook() -> None:
    below: npt.NDArray[np.int64] = np.array([8, 0, 10])
    ratios = likelihood_ratio(below, 10, np.array([2, 5, 10]), 10)
    cells = [8 * math.log(8 / 5), 2 * math.log(2 / 5), 2 * math.log(2 / 5), 8 * math.log(8 / 5)]
    assert ratios[0] == pytest.approx(2 * sum(cells))
    assert ratios[1] < 0
    assert ratios[2] == 0
    assert likelihood_ratio(below, 10, below * 0, 0).tolist() == [0, 0, 0]
