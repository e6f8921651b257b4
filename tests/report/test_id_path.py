import pytest

from cobrarec.report.id_path import id_path


def test_each_code_is_followed_by_its_words() -> None:
    html = id_path([7, 0], [["Dolls", "Hats & Shoes"], ["<b>"]])
    assert "ID <code>7</code> <bdi>Dolls, Hats &amp; Shoes</bdi> › <code>0</code> <bdi>&lt;b&gt;</bdi>" in html


def test_a_code_without_words_stands_alone() -> None:
    assert "<code>7</code> <bdi>Dolls</bdi> › <code>0</code> </span>" in id_path([7, 0], [["Dolls"], []])


@pytest.mark.parametrize(("codes", "words"), [([1], None), (None, [["a"]]), ([], []), ([1, 2], [["a"]]), ("12", "ab")])
def test_what_is_no_path_in_words_is_empty(codes: object, words: object) -> None:
    assert id_path(codes, words) == ""
