"""The page in a real browser: every control on every tab, on a desk and on a phone, light and dark, and by keyboard alone."""

import os
import re
import shutil

import pytest
from small_page import deep_artifact, page_over_loopback
from small_server import TOKEN

from small_run import small_world

pytest.importorskip("gradio", reason="the page needs gradio: pip install 'cobrarec[ui]'")
playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright: pip install 'cobrarec[dev]'")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; install one, or name it by CHROMIUM=/path/to/chromium"),
]
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
ITEMS = small_world()[0].to_pylist()
SECONDS = 20_000


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server that writes, guarded by a token, and knows users."""
    with page_over_loopback(deep_artifact(tmp_path_factory.mktemp("page")), COBRAREC_TOKEN=TOKEN) as (url, _):
        yield url


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Visit:
    """One page, opened; keeps what the browser asked for and complained of."""

    def __init__(self, browser, url, size="desk", scheme="light"):
        width, height = SIZES[size]
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "phone")
        self.page = self.context.new_page()
        self.page.set_default_timeout(SECONDS)
        self.url, self.asked, self.complaints = url, [], []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{url}/ui/")
        self.expect("#panel-listed", "Recommended")

    def expect(self, place, told):
        playwright.expect(self.page.locator(place)).to_contain_text(told, timeout=SECONDS)

    def button(self, name, place="body", exact=False):
        return self.page.locator(place).get_by_role("button", name=name, exact=exact)

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def history(self):
        return self.page.locator("#panel-taken ol li bdi").all_inner_texts()

    def check(self):
        """Nothing was asked of another machine, nothing complained of, nothing wider than the screen."""
        assert [url for url in self.asked if not url.startswith((f"{self.url}/", "data:", "blob:"))] == []
        assert self.complaints == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    def close(self):
        try:
            self.check()
        finally:
            self.context.close()


@pytest.fixture(params=[("desk", "light"), ("phone", "dark")], ids=["desk-light", "phone-dark"])
def visit(request, browser, served):
    opened = Visit(browser, served, *request.param)
    yield opened
    opened.close()


def build_a_history(visit, num_items=3):
    """Search for a word of many titles and add the first items."""
    visit.page.get_by_label("Search items").press_sequentially(ITEMS[0]["title"].split()[0])
    visit.expect("#panel-found", "found")
    for number in range(num_items):
        visit.page.locator("#panel-found").get_by_role("button").nth(number).click()
        visit.expect("#panel-said", f"{number + 1} item")


def test_a_history_is_built_listed_changed_and_emptied(visit):
    visit.expect("#panel-listed", "popular in training")
    build_a_history(visit)
    assert len(visit.history()) == 3
    visit.expect("#panel-listed", "nearest in the history")
    assert visit.page.locator("#panel-listed ol.cards > li").count() == 10
    visit.button("Take", "#panel-listed").first.click()
    visit.expect("#panel-said", "4 items")
    first = visit.history()[0]
    visit.button(f"Remove {first}", "#panel-taken").first.click()
    visit.expect("#panel-said", "Removed, 3 items")
    visit.check()
    visit.button("Clear the history").click()
    visit.expect("#panel-taken", "Empty")
    visit.expect("#panel-listed", "popular in training")
    visit.page.get_by_label("Search items").fill("zebra zeppelin")
    visit.button("Search", exact=True).click()
    visit.expect("#panel-found", "No item has all of these words")


def test_a_user_is_taken_with_the_last_item_held_back_or_not(visit):
    visit.button("Any user").click()
    visit.expect("#panel-user", "the last one held back")
    visit.expect("#panel-taken", "Held back, taken next")
    visit.expect("#panel-listed", "What the user took next")
    user = visit.page.get_by_label("User, one of").input_value()
    visit.page.get_by_label("Hold back the last item").uncheck()
    visit.page.get_by_label("User, one of").fill(user)
    visit.button("Take this history").click()
    playwright.expect(visit.page.locator("#panel-taken")).not_to_contain_text("Held back", timeout=SECONDS)
    visit.page.get_by_label("User, one of").fill("nobody")
    visit.page.get_by_label("User, one of").press("Enter")
    visit.expect("#panel-user", "There is no user 'nobody'")


def test_every_dial_changes_the_list_at_once_and_says_how(visit):
    build_a_history(visit)
    visit.button("Dials").click()
    for name, value in [("Direct weight", "0"), ("Memory weight", "0"), ("τ, weight", "3"), ("ψ, weight", "0.5"), ("M, beams", "2")]:
        before = visit.page.locator("#panel-listed").inner_text()
        field = visit.page.get_by_label(f"number input for {name}")
        field.fill(value)
        field.press("Enter")
        playwright.expect(visit.page.locator("#panel-listed")).not_to_have_text(before, timeout=SECONDS)
        visit.expect("#panel-listed", "Against the artifact's settings")
    slider = visit.page.get_by_label("range slider for τ, weight")
    slider.focus()
    slider.press("ArrowLeft")
    assert float(slider.input_value()) == pytest.approx(2.95)
    field = visit.page.get_by_label("number input for τ, weight")
    field.fill("999")
    field.press("Enter")
    field.blur()
    visit.button("Draw diversity").click()
    visit.expect("#panel-curve", "Mean cosine distance")
    visit.check()
    visit.button("As in the artifact").click()
    playwright.expect(visit.page.locator("#panel-listed")).not_to_contain_text("Against the artifact's", timeout=SECONDS)
    assert visit.page.get_by_label("number input for τ, weight").input_value() == "1"


def test_the_tree_is_walked_down_and_back_and_reached_from_the_list(visit):
    visit.tab("Tree")
    visit.expect("#panel-tree", "All semantic IDs")
    for depth in (2, 3):
        visit.button("Open", "#panel-tree").first.click()
        playwright.expect(visit.page.locator("#panel-tree nav li")).to_have_count(depth, timeout=SECONDS)
        visit.expect("#panel-tree", "Typical items")
    visit.button("Add", "#panel-tree").first.click()
    visit.expect("#panel-said", "1 item in the history")
    visit.check()
    visit.button("All semantic IDs").click()
    visit.expect("#panel-tree h2", "All semantic IDs")
    visit.tab("Lists")
    visit.button("See the bucket", "#panel-listed").first.click()
    visit.expect("#panel-tree", "Typical items")
    playwright.expect(visit.page.get_by_role("tab", name="Tree")).to_have_attribute("aria-selected", "true")


def test_an_item_is_added_with_the_token_found_in_a_list_and_removed(visit):
    visit.tab("New item")
    title = "A Journey of Quite Another Kind"
    visit.page.get_by_label("title", exact=True).fill(title)
    for name in ("series", "description"):
        visit.page.get_by_label(name, exact=True).fill(ITEMS[3][name])
    visit.page.get_by_label("categories", exact=True).fill(", ".join(ITEMS[3]["categories"]))
    visit.button("Add the item").click()
    visit.expect("#panel-landed", "need the server's token")
    visit.page.get_by_label("Token of the server").fill(TOKEN)
    visit.button("Add the item").click()
    visit.expect("#panel-landed", "Nearest items")
    visit.expect("#panel-landed", "stands at place")
    visit.check()
    visit.button("See the bucket", "#panel-landed").click()
    visit.expect("#panel-tree", title)
    visit.tab("New item")
    visit.button("Try a history", "#panel-landed").click()
    visit.expect("#panel-said", "that the new item fits")
    assert len(visit.history()) == 3
    visit.tab("New item")
    visit.button("Remove", "#panel-landed").click()
    visit.expect("#panel-landed", "is removed")
    offered = visit.page.get_by_label("Item id").input_value()
    visit.page.get_by_label("Or as JSON").fill("{")
    visit.button("Add the item").click()
    visit.expect("#panel-landed", "That is no JSON")
    visit.page.get_by_label("Or as JSON").fill('{"title": "Another one"}')
    visit.button("Add the item").click()
    visit.expect("#panel-landed", "Another one")
    visit.button("Remove", "#panel-landed").click()
    visit.expect("#panel-landed", "is removed")
    assert visit.page.get_by_label("Item id").input_value() != offered


def test_the_model_shows_its_card_its_curves_and_its_health(visit):
    visit.tab("Model")
    for told in ("What is served", "Training losses", "IDs by bucket size", "Results"):
        visit.expect("#panel-card", told)
    for fold in visit.page.locator("#panel-card summary").all():
        fold.click()
    visit.check()


def test_colors_follow_the_system(browser, served):
    grounds = set()
    for scheme in ("light", "dark"):
        visit = Visit(browser, served, "desk", scheme)
        grounds.add(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        shades = visit.page.evaluate(
            "['body', '#panel-listed h2'].map((place) => getComputedStyle(document.querySelector(place))).map((one, number) => "
            "(number ? one.color : one.backgroundColor).match(/[0-9.]+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0))"
        )
        assert (shades[0] > shades[1]) == (scheme == "light")
        visit.close()
    assert len(grounds) == 2


def test_a_list_is_reached_and_changed_by_keyboard_alone(browser, served):
    visit = Visit(browser, served)
    keyboard = visit.page.keyboard

    def go_to(name, most=60):
        """Press Tab until the focus is on what bears that name, and see it there."""
        for _ in range(most):
            keyboard.press("Tab")
            here = visit.page.evaluate(
                "(() => { const at = document.activeElement; const style = getComputedStyle(at);"
                " return [at.getAttribute('aria-label') || at.labels?.[0]?.innerText || at.innerText || '', style.outlineStyle]; })()"
            )
            if re.search(name, here[0]):
                assert here[1] != "none", f"the focus on {here[0]!r} is not seen"
                return
        raise AssertionError(f"Tab never reaches {name!r}")

    go_to("^Search items")
    keyboard.type(ITEMS[0]["title"].split()[0])
    keyboard.press("Enter")
    visit.expect("#panel-found", "found")
    go_to("^Add ")
    keyboard.press("Enter")
    visit.expect("#panel-said", "1 item")
    go_to("^Remove ")
    keyboard.press("Shift+Tab")
    keyboard.press("Tab")
    go_to("^Dials")
    keyboard.press("Enter")
    go_to("^number input for τ")
    keyboard.press("Tab")
    go_to("See the bucket of")
    keyboard.press("Space")
    visit.expect("#panel-tree", "Typical items")
    focused = "document.activeElement.closest('#panel-tree') !== null"
    visit.page.wait_for_function(focused)
    go_to("^Add ")
    keyboard.press("Enter")
    visit.expect("#panel-said", "2 items")
    visit.page.wait_for_function(focused)
    visit.close()


def test_a_person_who_can_only_read_is_told_why(browser, tmp_path):
    with page_over_loopback(deep_artifact(tmp_path), "--read-only") as (url, process):
        visit = Visit(browser, url, "phone")
        visit.tab("New item")
        playwright.expect(visit.page.get_by_text("Items cannot be changed here: this server only reads")).to_be_visible()
        assert visit.button("Add the item").is_disabled()
        visit.check()
        process.terminate()  # the page is still open, and holds nothing up
        assert process.wait(20) == 0
        visit.context.close()


def test_two_processes_answer_one_page(browser, tmp_path):
    with page_over_loopback(deep_artifact(tmp_path), "--workers", "2") as (url, _):
        visit = Visit(browser, url)
        build_a_history(visit, 4)
        assert len(visit.history()) == 4
        visit.close()
