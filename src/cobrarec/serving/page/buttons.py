"""Buttons and notices inside the page's HTML. A press is told to the server as an act and a value (`look.PRESSES`)."""

import json
from typing import Any

from cobrarec.errors import DataError
from cobrarec.report.markup import Markup, tag


def press(text: object, act: str, value: Any, label: str | None = None, key: str | None = None, look: str = "") -> Markup:
    """Return a button.

    Args:
        text: what it shows.
        act: what it asks for.
        value: of what, as JSON can hold it.
        label: its name for who does not see what stands around it; the text where not given.
        key: what has the focus again after the press, where that is not this very button.
        look: its CSS class.
    """
    told = json.dumps(value)
    return tag(
        "button",
        text,
        type="button",
        class_=f"press {look}".strip(),
        aria_label=label,
        data_act=act,
        data_value=told,
        data_key=key or f"{act} {told}",
    )


def pressed_value(text: Any) -> Any:
    """The value of a press; raises DataError for what no button of ours says."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        raise DataError("That button says nothing; load the page again.") from None


def notice(sentence: str, look: str = "") -> Markup:
    """Return one sentence that answers what a person did."""
    return tag("p", sentence, class_=f"notice {look}".strip(), role="status")


def toast(*said: object) -> Markup:
    """Return a short word on what happened, which stands over the page for some seconds."""
    return tag("p", *said, class_="toast", role="status")


def heading(text: object, *beside: object) -> Markup:
    """Return the title of a panel, which takes the focus where the pressed button is gone."""
    return tag("div", tag("h2", text, tabindex="-1", data_focus=True), *beside, class_="title-row")
