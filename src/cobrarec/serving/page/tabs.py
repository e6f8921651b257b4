"""The tabs of the page in gradio, and what each control does. All answers come from the desk; the browser holds the state.

Nothing goes through gradio's queue: a press is one request and its answer, so that no stream stays open, a server stops at once, and
several processes can answer one page. The desk takes its turn with the model in the service's batcher.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from cobrarec.errors import CobraRecError
from cobrarec.report.markup import Markup, Number
from cobrarec.serving.page.added_item import fields_of
from cobrarec.serving.page.buttons import notice, pressed_value, toast
from cobrarec.serving.page.desk import Desk
from cobrarec.serving.page.dials import Dial
from cobrarec.serving.page.look import FOCUS, PRESSES, TITLE, header
from cobrarec.serving.page.taken import Taken

LIVE_SEARCH = 100_000
"""In catalogs of up to so many items a search answers while one types."""
DIRECT: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
"""How every event runs."""


class PageTabs:
    """Builds `blocks`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        with gr.Blocks(title=TITLE, analytics_enabled=False) as self.blocks:
            gr.HTML(header(desk.service.card()), apply_default_css=False, elem_classes=["cobra"])
            self.history = gr.JSON(Taken().value(), visible=False)
            self.said = _panel("said")
            with gr.Tabs(selected="lists") as self.tabs:
                with gr.Tab("Lists", id="lists"):
                    self._lists_tab()
                with gr.Tab("Tree", id="tree"):
                    self.tree = _panel("tree")
                with gr.Tab("New item", id="new"):
                    self._new_tab()
                with gr.Tab("Model", id="model"):
                    self.card = _panel("card")
            self._wire()

    def _lists_tab(self) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                with _sheet():
                    self.query = gr.Textbox(label="Search items", placeholder="words of a title, such as wooden train", max_lines=1)
                    self.find = gr.Button("Search", size="sm")
                    self.found = _panel("found")
                if self.desk.users is not None:
                    with _sheet():
                        self._users_sheet(self.desk.users.num_users)
                with _sheet():
                    self.taken = _panel("taken")
            with gr.Column(scale=7, min_width=300):
                if self.desk.dials:
                    with gr.Accordion("Dials", open=False, elem_classes=["sheet"]):
                        with gr.Row():
                            self.sliders = [_slider(dial) for dial in self.desk.dials]
                        with gr.Row():
                            self.reset = gr.Button("As in the artifact", size="sm", min_width=120)
                            self.draw = gr.Button("Draw diversity over τ", size="sm", min_width=120)
                        self.curve = _panel("curve")
                else:
                    self.sliders = []
                with _sheet():
                    self.listed = _panel("listed")

    def _users_sheet(self, num_users: int) -> None:
        self.user = gr.Textbox(label=f"User, one of {num_users:,}", placeholder="id of a user", max_lines=1)
        self.hold_back = gr.Checkbox(value=True, label="Hold back the last item", info="Is it among the ten?")
        with gr.Row():
            self.take = gr.Button("Take this history", size="sm", min_width=120)
            self.any = gr.Button("Any user", size="sm", min_width=120)
        self.user_told = _panel("user")

    def _new_tab(self) -> None:
        catalog = self.desk.service.recommender.catalog
        reason = self.desk.service.read_only_reason
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300), _sheet():
                if reason is not None:
                    gr.HTML(notice(f"Items cannot be changed here: {reason}."), apply_default_css=False, elem_classes=["cobra"])
                is_open = reason is None
                self.new_id = gr.Textbox(label="Item id", max_lines=1, interactive=is_open)
                self.names = fields_of(catalog)
                self.fields = [gr.Textbox(label=name.replace("_", " "), lines=1, interactive=is_open) for name in self.names]
                self.as_json = gr.Textbox(
                    label="As JSON" if not self.names else "Or as JSON, instead of the fields",
                    placeholder='{"' + (self.names[0] if self.names else "title") + '": "…"}',
                    lines=2,
                    interactive=is_open,
                )
                is_guarded = self.desk.needs_token
                self.token = gr.Textbox(label="Token of the server", type="password", max_lines=1, visible=is_guarded, interactive=True)
                self.put = gr.Button("Add the item", variant="primary", interactive=is_open)
            with gr.Column(scale=5, min_width=300), _sheet():
                self.landed = _panel("landed", '<p class="quiet">Where the item lands is shown here.</p>')

    def _wire(self) -> None:
        listing = {"fn": self._list, "inputs": [self.history, *self.sliders], "outputs": [self.listed], "trigger_mode": "always_last"}
        searching = [self.query.submit, self.find.click]
        if self.desk.service.recommender.catalog.num_items <= LIVE_SEARCH:
            searching.append(self.query.input)
        gr.on(searching, self.desk.search, [self.query], [self.found], trigger_mode="always_last", **DIRECT)
        if self.sliders:
            gr.on([slider.change for slider in self.sliders], **listing, **DIRECT)
            self.reset.click(lambda: [dial.default for dial in self.desk.dials], None, self.sliders, **DIRECT)
            self.draw.click(self._curve, [self.history, *self.sliders], [self.curve], **DIRECT)
        if self.desk.users is not None:
            outputs = [self.history, self.taken, self.user_told]
            gr.on([self.take.click, self.user.submit], self._take, [self.user, self.hold_back], outputs, **DIRECT).then(**listing, **DIRECT)
            self.any.click(self.desk.users.any_id, None, [self.user], **DIRECT).then(
                self._take, [self.user, self.hold_back], outputs, **DIRECT
            ).then(**listing, **DIRECT)
        inputs = [self.history, self.token, *self.sliders]
        outputs = [self.history, self.taken, self.listed, self.tree, self.landed, self.tabs, self.said]
        for panel in (self.found, self.taken, self.listed, self.tree, self.landed):
            panel.click(self._act, inputs, outputs, **DIRECT).then(None, js=FOCUS, **DIRECT)
        self.put.click(self._put, [self.token, self.new_id, self.as_json, *self.fields], [self.landed, self.new_id], **DIRECT)
        first = [self.taken, self.listed, self.tree, self.card, self.new_id]
        self.blocks.load(self._first, [self.history, *self.sliders], first, **DIRECT)

    async def _first(self, history: Any, *values: Number | None) -> list[str]:
        desk = self.desk
        lists = [desk.history(desk.taken(history)), await desk.listed(history, values)]
        return [*lists, await desk.tree([]), await desk.card(), desk.next_id()]

    async def _list(self, history: Any, *values: Number | None) -> str:
        return await self.desk.listed(history, values)

    async def _curve(self, history: Any, *values: Number | None) -> str:
        return await self.desk.curve(history, values)

    async def _take(self, user: str | None, hold_back: bool) -> list[Any]:
        taken, told = await self.desk.take_user(user, hold_back)
        return [gr.skip(), gr.skip(), told] if taken is None else [taken.value(), self.desk.history(taken), told]

    async def _put(self, token: str | None, item_id: str | None, as_json: str | None, *values: str | None) -> list[Any]:
        before = self.desk.next_id()
        landed = await self.desk.put(token, item_id, dict(zip(self.names, values, strict=True)), as_json)
        after = self.desk.next_id()
        return [landed, after if after != before else gr.skip()]

    async def _act(self, history: Any, token: str | None, event: gr.EventData, *values: Number | None) -> dict[Any, Any]:
        """What the press of a button inside a panel asks for."""
        taken = self.desk.taken(history)
        act = event._data.get("act")
        try:
            value = pressed_value(event._data.get("value"))
            if act in ("open", "bucket"):
                return {self.tree: await self.desk.tree(value), self.tabs: gr.Tabs(selected="tree")}
            if act == "remove":
                return {self.landed: await self.desk.remove(token, value), self.listed: await self.desk.listed(history, values)}
            changed, said = self.desk.changed(taken, act, value)
        except CobraRecError as error:
            return {self.said: toast(str(error))}
        shown = {self.history: changed.value(), self.taken: self.desk.history(changed), self.said: said}
        shown[self.listed] = await self.desk.listed(changed.value(), values)
        return {**shown, self.tabs: gr.Tabs(selected="lists")} if act == "try" else shown


def _sheet() -> gr.Column:
    return gr.Column(elem_classes=["sheet"], min_width=280)


def _panel(name: str, value: str = "") -> gr.HTML:
    """A place for HTML of ours whose buttons are told to the server."""
    return gr.HTML(Markup(value), js_on_load=PRESSES, apply_default_css=False, elem_id=f"panel-{name}", elem_classes=["cobra"])


def _slider(dial: Dial) -> gr.Slider:
    slider = gr.Slider(dial.low, dial.high, value=dial.default, step=dial.step, label=dial.label, info=dial.told, min_width=240)
    within: Callable[[Number | None], Number] = dial.within
    slider.preprocess = within  # a number typed beyond the range is the nearest within, not an error
    return slider
