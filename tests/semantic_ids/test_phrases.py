import numpy as np
import pytest

from cobrarec.semantic_ids.phrases import differ_in_an_ending, distinct, short_name
from cobrarec.semantic_ids.word_table import words_of


def name_of(words: list[str], texts: list[str], n: int = 3) -> tuple[str, ...]:
    carried = [{word.casefold() for word in words_of(text)} for text in texts]
    return short_name(words, np.array([[word.casefold() in item for word in words] for item in carried]), texts.__getitem__, n)


def test_words_that_stand_together_are_one_phrase_as_it_is_written() -> None:
    assert name_of(["High", "doll", "Monster"], ["Monster High doll", "monster high", "A Monster High cup"]) == ("Monster High", "doll")
    assert name_of(["Doug", "Melissa"], ["Melissa & Doug ball", "Melissa & Doug"]) == ("Melissa & Doug",)
    assert name_of(["Pretend", "Dress", "Up", "Play"], ["Dress Up & Pretend Play"] * 2) == ("Dress Up & Pretend Play",)


def test_what_stands_in_the_same_items_and_is_no_phrase_is_said_once() -> None:
    assert name_of(["LEGO", "Sets", "City"], ["LEGO City > Sets", "LEGO boat > Sets", "LEGO car > Sets", "City"]) == ("LEGO", "City")


def test_words_of_two_parts_of_a_text_are_no_phrase() -> None:
    assert name_of(["Games", "Puzzles"], ["Games > Puzzles", "Games > Puzzles"]) == ("Games",)


def test_one_text_makes_no_phrase() -> None:
    assert name_of(["Monster", "High"], ["Monster High"]) == ("Monster",)


def test_of_forms_of_a_word_the_first_stands_for_all() -> None:
    assert name_of(["Dolls", "doll", "hat"], ["Dolls", "doll", "hat", "hat doll"]) == ("Dolls", "hat")
    assert distinct(["Puzzle", "puzzles", "car", "cat"], 3) == ("Puzzle", "car", "cat")
    assert distinct(["aa", "bb"], 1) == ("aa",)


@pytest.mark.parametrize(
    ("first", "second", "same"), [("doll", "Dolls", True), ("do", "dog", False), ("car", "carpet", False), ("a", "a", False)]
)
def test_endings_are_short_and_beginnings_long(first: str, second: str, same: bool) -> None:
    assert differ_in_an_ending(first, second) == same
