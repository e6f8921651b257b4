import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobrarec.semantic_ids.word_table import WordTable, is_name, most_often_written, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Melissa & Doug: 24-piece Kids' puzzle!", ["Melissa", "Doug", "24-piece", "Kids", "puzzle"]),
        ("Fisher-Price K'NEX", ["Fisher-Price", "K'NEX"]),
        ("Größe Straße été", ["Größe", "Straße", "été"]),
        ("e\u0301te\u0301", ["été"]),
        ("Кукла Барби", ["Кукла", "Барби"]),
        ("हिन्दी किताब", ["हिन्दी", "किताब"]),
        ("دمية باربي", ["دمية", "باربي"]),
        ("智能手机 Pro", ["智能", "能手", "手机", "Pro"]),
        ("猫 と", ["猫", "と"]),
        ("レゴのブロック", ["レゴ", "の", "ブロック"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_words_in_any_script(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("word", "named"), [("toy", True), ("x", False), ("猫", True), ("12", False), ("3D", False), ("100ml", False), ("__", False)]
)
def test_numbers_and_single_letters_are_no_names(word: str, named: bool) -> None:
    assert is_name(word) == named


def test_words_are_shown_as_most_often_written() -> None:
    table = WordTable.of(["lego LEGO LEGO", "Lego doll", "doll DOLL"], np.arange(3))
    assert table.shown == ("doll", "LEGO")
    assert table.num_carriers.tolist() == [2, 2]
    assert most_often_written(["b", "A", "a", "a"]) == ["a", "b"]


@given(st.lists(st.lists(st.sampled_from(["ab", "AB", "cd", "e", "fgh", "7"]), max_size=4), min_size=1, max_size=9), st.integers(1, 4))
def test_the_table_holds_each_word_of_an_item_once(items: list[list[str]], max_words: int) -> None:
    table = WordTable.of([" ".join(words) for words in items], np.arange(len(items))[::-1], max_words)
    shown = [word.casefold() for word in table.shown]
    carried = [{word.casefold() for word in words if len(word) > 1} for words in items[::-1]]
    assert shown == sorted(shown)
    assert len(shown) == min(max_words, len(set().union(*carried)))
    for place, words in enumerate(carried):
        assert [shown[word] for word in table.words_between(place, place + 1)] == sorted(words & set(shown))
    for word, count in zip(shown, table.num_carriers, strict=True):
        assert count == sum(word in words for words in carried)
    assert table.counts_between(0, len(items)).tolist() == table.num_carriers.tolist()
    matrix = table.carriers(0, len(items), np.arange(table.num_words))
    assert [[shown[word] for word in np.flatnonzero(row)] for row in matrix] == [sorted(words & set(shown)) for words in carried]


def test_the_most_frequent_words_are_kept() -> None:
    assert WordTable.of(["aa bb", "bb cc", "cc"], np.arange(3), 2).shown == ("bb", "cc")


def test_texts_without_words_make_an_empty_table() -> None:
    table = WordTable.of(["", "7"], np.arange(2))
    assert table.shown == ()
    assert table.offsets.tolist() == [0, 0, 0]
