import re

import pytest

from cobrarec.serving.page.look import HEAD, header


def test_the_head_asks_for_nothing():
    assert "http" not in HEAD
    assert "url(" not in HEAD
    assert "@import" not in HEAD
    assert HEAD.count("{") == HEAD.count("}")


def test_light_and_dark_follow_the_system():
    assert "prefers-color-scheme: dark" in HEAD
    assert 'name="color-scheme" content="light dark"' in HEAD


def test_the_theme_has_fonts_of_the_system_alone_and_colors_of_ours():
    pytest.importorskip("gradio", reason="the page needs gradio")
    from cobrarec.serving.page.look import theme

    made = theme()
    css = made._get_theme_css()
    assert not re.search(r"@import|@font-face|url\(.?http", css)
    assert css.count("var(--accent)") > 4


def test_the_header_says_what_is_served():
    told = header({"num_items": 1234, "ranker": "cobra", "artifact": "abcdef0123456789"})
    assert "1,234 items" in told
    assert "abcdef012345" in told
