"""The look of the page: the report's colors and type, gradio's controls in the same, and the scripts of its own HTML."""

from collections.abc import Mapping
from typing import Any

from cobrarec.report.markup import Markup, tag, user_text
from cobrarec.report.style import EMBLEM, PALETTE, STYLE

TITLE = "cobrarec"

PRESSES = """
let pressed = null;
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button) return;
  pressed = button.dataset.key;
  trigger('click', {act: button.dataset.act, value: button.dataset.value});
});
watch('value', () => {
  const key = pressed;
  pressed = null;
  if (key === null || document.activeElement !== document.body) return;
  const again = [...element.querySelectorAll('button[data-key]')].find((button) => button.dataset.key === key);
  (again || element.querySelector('[data-focus]'))?.focus({preventScroll: !again});
});
"""
"""Tells the server which button of a panel was pressed, and keeps the focus where it was when the panel is written anew."""

FOCUS = """
() => setTimeout(() => {
  if (document.activeElement !== document.body && document.activeElement.offsetParent !== null) return;
  const titles = [...document.querySelectorAll('[role=tabpanel] [data-focus]')];
  titles.find((title) => title.offsetParent !== null)?.focus();
}, 80)
"""
"""Gives the focus to the title of the tab that a press has opened."""

_OWN = """
h1, h2, h3, h4 { color: var(--ink); font-weight: 650; } b, strong { color: inherit; font-weight: 650; }
.legend svg { display: inline-block; }
.title-row { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem .8rem; margin-bottom: .5rem; }
.title-row h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; min-width: 0; } .title-row .press { margin-left: auto; }
h2:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
h2:focus:not(:focus-visible) { outline: none; }
.formula { color: var(--quiet); font-size: .78rem; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); font-size: .9rem; margin: .3rem 0 .5rem; }
.press { font: inherit; font-size: .85rem; color: var(--accent); background: transparent; border: 1px solid var(--line);
  border-radius: 99px;
  padding: .2rem .8rem; min-height: 2rem; cursor: pointer; white-space: nowrap; }
.press:hover { background: var(--tint); border-color: var(--accent); }
.press:focus-visible, summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.press.round { min-width: 2rem; padding: 0; font-size: 1.05rem; line-height: 1; }
.press.plain { border: 0; padding: .1rem 0; text-align: left; white-space: normal; font-weight: 600; min-height: 0; font-size: .95rem; }
.press.danger { color: var(--warn); }
.rows { list-style: none; margin: 0 0 .4rem; padding: 0; }
.rows li { display: flex; justify-content: space-between; align-items: center; gap: .8rem; padding: .32rem 0;
  border-bottom: 1px solid var(--line); }
.rows li:last-child { border-bottom: 0; } .rows li > :first-child { overflow-wrap: anywhere; min-width: 0; line-height: 1.35; }
.rows.numbered { counter-reset: place; } .rows.numbered li { counter-increment: place; justify-content: flex-start; }
.rows.numbered li > .press { margin-left: auto; flex: none; }
.rows.numbered li::before { content: counter(place); color: var(--quiet); font-size: .85rem; min-width: 1.4rem; flex: none;
  font-variant-numeric: tabular-nums; text-align: right; }
.cards { list-style: none; margin: .6rem 0 0; padding: 0; counter-reset: place; }
.cards > li { counter-increment: place; position: relative; padding: .8rem 0 .8rem 2.2rem; border-bottom: 1px solid var(--line); }
.cards > li:last-child { border-bottom: 0; }
.cards > li::before { content: counter(place); position: absolute; left: 0; top: .8rem; color: var(--quiet);
  font-variant-numeric: tabular-nums; }
.cards .title { font-weight: 600; } .cards p { margin: .25rem 0 0; }
div.bar { height: 3px; border-radius: 2px; margin: .25rem 0;
  background: linear-gradient(var(--accent), var(--accent)) no-repeat left / calc(var(--share, 0) * 100%) 100%, var(--soft); }
.attributes { display: flex; flex-wrap: wrap; gap: .05rem 1rem; font-size: .88rem; } .attributes > span { overflow-wrap: anywhere; }
.attributes .name { color: var(--quiet); }
.path-line { font-size: .88rem; }
.why { font-size: .85rem; } .why small { font-size: .8rem; } .why i { font-style: normal; }
.why .term { white-space: nowrap; margin-right: .35rem; }
.acts { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .55rem; }
.badge { background: var(--soft); } .badge.new, .badge.up { background: var(--tint); color: var(--accent); }
.badge.down { background: var(--warn-ground); color: var(--warn); }
.notice { background: var(--soft); border-radius: 10px; padding: .55rem .8rem; margin: .5rem 0; font-size: .92rem;
  overflow-wrap: anywhere; }
.notice.wrong { background: var(--warn-ground); color: var(--warn); } .notice.hit { background: var(--tint); color: var(--accent); }
.changes p { margin: 0 0 .2rem; font-size: .92rem; } .facts-line { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem;
  color: var(--quiet); }
.facts-line b { color: var(--ink); font-variant-numeric: tabular-nums; }
.held { border-left: 2px solid var(--accent); padding-left: .8rem; margin: .6rem 0 0; font-size: .92rem; overflow-wrap: anywhere; }
.crumbs { position: static; border: 0; padding: 0; background: none; margin-bottom: .7rem; display: block; white-space: normal; }
.crumbs ol { list-style: none; display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .5rem; margin: 0; padding: 0;
  font-size: .9rem; }
.crumbs li + li::before { content: "›"; color: var(--quiet); margin-right: .5rem; }
.branches { list-style: none; margin: .4rem 0 1rem; padding: 0; display: grid; gap: .3rem 1.8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.branches > li { min-width: 0; padding: .35rem 0; } .branches code, .crumbs code, .title-row code { background: var(--soft);
  border-radius: 5px;
  padding: .05rem .35rem; color: var(--quiet); font-weight: 400; }
.branches .titles { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
header { max-width: none; padding: .4rem 0 0; } header h1 { font-size: 1.5rem; margin: 0; }
header .brand { flex-wrap: wrap; } header .meta { margin: .2rem 0 0; font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.3rem; margin: 0 0 1.1rem; }
h3 { margin: 1rem 0 .4rem; }
.metrics { min-width: 29rem; }
.toast { position: fixed; z-index: 50; left: 50%; bottom: 1.2rem; transform: translateX(-50%); width: max-content;
  max-width: calc(100vw - 2rem);
  background: var(--ink); color: var(--ground); border-radius: 10px; padding: .55rem 1rem; margin: 0; font-size: .92rem;
  pointer-events: none;
  overflow-wrap: anywhere; animation: leave .5s 4s forwards; }
@media (max-width: 40rem) { .cards > li { padding-left: 1.7rem; } section { padding: 1rem; }
  .branches { grid-template-columns: minmax(0, 1fr); } }
"""

_AROUND = """
.gradio-container { --color-accent: var(--accent); --primary-500: var(--accent); --primary-600: var(--accent); }
gradio-app, body { background: var(--ground) !important; }
.gradio-container { max-width: 76rem !important; width: 100% !important; min-width: 0; margin: 0 auto !important; }
.gradio-container main.fillable, .gradio-container .main { padding: .6rem 1rem 2rem !important; }
.sheet { background: var(--card) !important; border: 1px solid var(--line) !important; border-radius: 14px !important;
  padding: .9rem 1rem !important;
  overflow: visible !important; }
.sheet .block { border: 0 !important; background: transparent !important; padding-left: 0 !important; padding-right: 0 !important;
  box-shadow: none !important; overflow: visible !important; }
.sheet .form { background: transparent !important; border: 0 !important; overflow: visible !important; gap: .6rem !important;
  box-shadow: none !important; }
.sheet .block { padding-top: 0 !important; padding-bottom: 0 !important; }
.sheet .block#panel-found { max-height: 22rem; padding-right: .4rem !important; overflow-y: auto !important; }
.sheet .html-container, #panel-tree .html-container, #panel-card .html-container { padding: 0 !important; }
#panel-found .rows li > :first-child { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
#panel-curve .legend { display: none; } #panel-curve .pair { grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); }
#panel-tree { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem 1.1rem; }
body .gradio-container :is(button, input, textarea, summary):focus-visible {
  outline: 3px solid var(--accent) !important; outline-offset: 2px; }
footer { display: none !important; }
#panel-said { position: absolute; overflow: visible; padding: 0; border: 0; }
@keyframes leave { to { opacity: 0; visibility: hidden; } }
.sheet button.sm { min-height: 2.3rem; border: 1px solid var(--line); }
@media (max-width: 40rem) { .gradio-container main.fillable, .gradio-container .main { padding: .4rem .6rem 2rem !important; } }
"""

_FONT = "16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

HEAD = (
    f'<meta name="color-scheme" content="light dark"><style>{PALETTE}\n{_AROUND}\n'
    f".cobra {{ color: var(--ink); font: {_FONT};\n{STYLE.removeprefix(PALETTE)}\n{_OWN}\n}}</style>"
)
"""What stands in the head: the report's style, for what is ours alone, and no address of another machine."""

_COLORS = {
    "body_background_fill": "--ground",
    "body_text_color": "--ink",
    "body_text_color_subdued": "--quiet",
    "background_fill_primary": "--card",
    "background_fill_secondary": "--ground",
    "block_background_fill": "--card",
    "block_border_color": "--line",
    "block_label_background_fill": "--card",
    "block_label_text_color": "--ink",
    "block_title_text_color": "--ink",
    "block_info_text_color": "--quiet",
    "border_color_primary": "--line",
    "border_color_accent": "--accent",
    "color_accent_soft": "--tint",
    "link_text_color": "--accent",
    "input_background_fill": "--ground",
    "input_background_fill_focus": "--ground",
    "input_border_color": "--line",
    "input_border_color_focus": "--accent",
    "input_placeholder_color": "--quiet",
    "checkbox_background_color": "--ground",
    "checkbox_background_color_selected": "--accent",
    "checkbox_border_color": "--quiet",
    "checkbox_label_background_fill": "--card",
    "checkbox_label_text_color": "--ink",
    "panel_background_fill": "--card",
    "slider_color": "--accent",
    "button_primary_background_fill": "--accent",
    "button_primary_background_fill_hover": "--accent",
    "button_primary_text_color": "--card",
    "button_secondary_background_fill": "--soft",
    "button_secondary_background_fill_hover": "--tint",
    "button_secondary_text_color": "--ink",
    "button_secondary_border_color": "--line",
    "accordion_text_color": "--ink",
}
"""Colors of gradio's controls by the name of ours; light and dark are switched by ours."""


def theme() -> Any:
    """Return gradio's theme with fonts of the system and our colors."""
    import gradio as gr

    base = gr.themes.Base(
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    colors = {name: f"var({color})" for name, color in _COLORS.items()}
    dark = {f"{name}_dark": value for name, value in colors.items() if hasattr(base, f"{name}_dark")}
    return base.set(**{name: value for name, value in colors.items() if hasattr(base, name)}, **dark)


def header(card: Mapping[str, Any]) -> Markup:
    """Return the head of the page: what is served."""
    parts = [f"{card['num_items']:,} items", f"ranker {card['ranker']}", f"artifact {str(card['artifact'])[:12]}"]
    facts = [tag("span", user_text(part)) for part in parts]
    return tag("header", tag("div", EMBLEM, tag("h1", TITLE), class_="brand"), tag("p", *facts, class_="meta"))
