import pytest

from cobrarec.errors import DataError
from cobrarec.serving.page.buttons import heading, notice, press, pressed_value, toast


def test_a_button_carries_its_value_whatever_it_holds():
    made = press('"Rose" <water>', "add", 'a"b<c>', "Add it")
    assert "&quot;Rose&quot; &lt;water&gt;" in made
    assert 'data-value="&quot;a\\&quot;b&lt;c&gt;&quot;"' in made
    assert 'aria-label="Add it"' in made
    assert pressed_value('"a\\"b<c>"') == 'a"b<c>'


@pytest.mark.parametrize("value", [None, "{", 7, "nonsense"])
def test_what_no_button_says_is_refused(value):
    with pytest.raises(DataError, match="load the page again"):
        pressed_value(value)


def test_sentences_are_told_to_who_does_not_see_them():
    assert 'role="status"' in notice("Done.")
    assert 'role="status"' in toast("Added ", "<b>")
    assert "&lt;b&gt;" in toast("Added ", "<b>")
    assert 'tabindex="-1"' in heading("History")
