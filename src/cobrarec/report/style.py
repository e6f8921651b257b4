"""The look of the report: colors for light, dark and print, and a layout that folds to one column on a phone."""

from cobrarec.report.markup import Markup

PALETTE = """
:root {
  color-scheme: light dark;
  --ground: #f6f4ef; --card: #fffefb; --ink: #20252b; --quiet: #5b646e; --line: #dfdbd1; --soft: #efece4; --bar: #c9c4b6;
  --accent: #0b6e55; --tint: #d8ece4; --warn: #8a3b12; --warn-ground: #fbe9dd;
  --s0: #0b6e55; --s1: #2b62b5; --s2: #a5620b; --s3: #93418f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14181c; --card: #1b2127; --ink: #e7e9ea; --quiet: #a2abb4; --line: #333c45; --soft: #252d35; --bar: #4a5661;
    --accent: #59cfab; --tint: #1d4438; --warn: #ffb48a; --warn-ground: #3d2418;
    --s0: #59cfab; --s1: #86b2f7; --s2: #e9b055; --s3: #df9bdb;
  }
}
"""
"""Colors by name, for light and dark."""

STYLE = (
    PALETTE
    + """* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 4rem; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.2rem; }
h1 { font-size: clamp(1.9rem, 5vw, 2.7rem); line-height: 1.15; margin: .2rem 0 .3rem; letter-spacing: -.02em; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 0 0 .2rem; letter-spacing: -.01em; }
h3 { font-size: 1.05rem; margin: 0 0 .8rem; }
h4 { font-size: .8rem; font-weight: 600; color: var(--quiet); margin: 0 0 .5rem; }
p { margin: 0 0 .8rem; }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px;
  border-radius: 4px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem .9rem; z-index: 3; }
.brand { display: flex; align-items: center; gap: .7rem; }
.brand svg { width: 5.4rem; height: 1.1rem; }
.kicker { margin: 0; color: var(--quiet); }
.meta { color: var(--quiet); display: flex; flex-wrap: wrap; gap: .1rem 1.3rem; }
.intro { color: var(--quiet); margin-bottom: 1.1rem; }
nav { position: sticky; top: 0; z-index: 2; background: var(--ground); border-bottom: 1px solid var(--line); display: flex;
  gap: 1.3rem; overflow-x: auto;
  padding: .7rem max(1.25rem, calc((100vw - 68rem) / 2 + 1.25rem)); white-space: nowrap; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
main > section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.5rem; margin: 1.3rem 0; }
data { white-space: nowrap; }
dl { margin: 0; } dd { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; margin: 1.3rem 0 1.6rem; }
.tile { border-left: 4px solid var(--accent); padding: .1rem 0 .1rem .9rem; }
.tile dt { color: var(--quiet); font-size: .9rem; }
.tile b { display: block; font-size: 2.1rem; line-height: 1.2; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.tile small { color: var(--quiet); font-size: .85rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.6rem 2rem; align-items: start; }
.pair > * { min-width: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
caption { text-align: left; font-weight: 650; padding: 0 .6rem .3rem 0; }
th, td { padding: .38rem .7rem; text-align: left; border-bottom: 1px solid var(--line); font-weight: 400; white-space: nowrap; }
th:first-child, td:first-child { padding-left: .2rem; }
thead th { color: var(--quiet); font-size: .85rem; border-bottom: 2px solid var(--line); white-space: normal; vertical-align: bottom; }
.num { text-align: right; font-variant-numeric: tabular-nums; }
.metrics { table-layout: fixed; min-width: 20rem; } .metrics th:first-child { width: 31%; }
.metrics td {
  background: linear-gradient(var(--bar), var(--bar)) no-repeat right .7rem bottom 3px / calc(var(--share, 0) * (100% - 1.4rem)) 4px;
  padding-bottom: .62rem; }
.metrics th[scope=row] { padding-bottom: .62rem; }
.metrics td.best { font-weight: 700; background-image: linear-gradient(var(--accent), var(--accent)); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0 2rem; }
.facts.narrow { grid-template-columns: 1fr; margin-bottom: 1.2rem; }
.facts > div { display: flex; justify-content: space-between; gap: 1rem; padding: .45rem 0; border-bottom: 1px solid var(--line); }
.facts dt { min-width: 0; } .facts dd { font-variant-numeric: tabular-nums; text-align: right; font-weight: 600; max-width: 55%;
  overflow-wrap: anywhere; }
.facts small { display: block; color: var(--quiet); font-size: .82rem; }
figure { margin: 0; } figure > svg { width: 100%; height: auto; display: block; max-width: 34rem; }
figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.2rem; margin-bottom: .4rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: 0; padding: 0; font-size: .85rem;
  color: var(--quiet); }
.legend svg { vertical-align: middle; margin-right: .35rem; }
svg text { fill: var(--quiet); font-size: 12px; font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); } svg .axis { font-size: 12.5px; }
.series path, .series line { fill: none; stroke: currentColor; stroke-width: 2.2; stroke-linejoin: round; }
.series circle { fill: var(--card); stroke: currentColor; stroke-width: 1.8; }
.series circle:hover { fill: currentColor; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); }
.mark line { stroke: var(--quiet); stroke-dasharray: 3 3; }
.bar rect { fill: var(--s0); } .bar rect:hover { fill: var(--s1); }
.warning { background: var(--warn-ground); color: var(--warn); border-radius: 10px; padding: .9rem 1.1rem; margin-bottom: 1.2rem; }
.warning ul { margin: .3rem 0 0; padding-left: 1.2rem; }
article { border-top: 1px solid var(--line); padding: 1.2rem 0 .4rem; }
.example { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 1.2rem 2.2rem; }
.history { margin: 0 0 1rem; padding: 0 0 0 1rem; border-left: 2px solid var(--line); list-style: none; }
.history li { padding: .12rem 0; overflow-wrap: anywhere; } .history .older { color: var(--quiet); }
.target { border-left: 2px solid var(--accent); padding-left: 1rem; overflow-wrap: anywhere; }
.badge { display: inline-block; margin-left: .5rem; padding: 0 .55rem; border-radius: 99px; background: var(--soft);
  color: var(--quiet); font-size: .8rem; white-space: nowrap; }
.badge.hit { background: var(--tint); color: var(--accent); }
.list { margin: 0; padding: 0 0 0 2rem; }
.list li { padding: .4rem 0 .4rem .2rem; border-bottom: 1px solid var(--line); }
.list li::marker { color: var(--quiet); font-variant-numeric: tabular-nums; }
.list li:last-child { border-bottom: 0; }
.head { display: inline-flex; width: 100%; justify-content: space-between; align-items: baseline; gap: 1rem; vertical-align: top; }
.head > :first-child { overflow-wrap: anywhere; } .title { font-weight: 600; }
.score { white-space: nowrap; color: var(--quiet); font-size: .85rem; font-variant-numeric: tabular-nums; }
.why { margin: .1rem 0 0; color: var(--quiet); font-size: .85rem; display: flex; flex-wrap: wrap; gap: 0 1rem; overflow-wrap: anywhere; }
.path { color: var(--ink); } .path code { background: var(--soft); border-radius: 5px; padding: .05rem .35rem; color: var(--quiet); }
.why .path, .why .line, .target .path { flex-basis: 100%; } .target .path { display: block; font-size: .85rem; margin-top: .15rem; }
.buckets { list-style: none; padding: 0; display: grid; gap: 0 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.buckets > li, .buckets > li:last-child { min-width: 0; padding-left: 0; border-bottom: 1px solid var(--line); }
.buckets .path { font-weight: 600; } .buckets .path code { font-weight: 400; }
.titles { margin: .1rem 0 0; color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere; }
details { margin-top: 1.1rem; } summary { cursor: pointer; font-weight: 600; padding: .2rem 0; }
details > ul { margin: .5rem 0 0; padding-left: 1.2rem; max-width: 46rem; }
pre { background: var(--soft); border-radius: 10px; padding: 1rem; overflow: auto; max-height: 34rem; font-size: .85rem;
  line-height: 1.5; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; } code { font-size: .88em; }
footer { color: var(--quiet); font-size: .88rem; padding-bottom: 2.5rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  main > section { padding: 1.1rem 1rem; border-radius: 0; margin-left: -1.25rem; margin-right: -1.25rem; border-left: 0;
  border-right: 0; }
  .example { grid-template-columns: 1fr; }
  .tiles { gap: .9rem; } .tile b { font-size: 1.8rem; }
  th, td { padding: .38rem .4rem; }
  .list { padding-left: 1.6rem; } .list.buckets { padding-left: 0; }
}
@media print { nav, .skip { display: none; } main > section { break-inside: avoid-page; border-color: #ccc; } body { background: #fff; } }
"""
)

_CODES = "".join(f'<rect x="{x}" y="5" width="12" height="12" rx="3"/>' for x in (1, 41, 81))
_VECTORS = "".join(f'<rect x="{x}" y="1" width="6" height="20" rx="3"/>' for x in (20, 29, 60, 69, 100))
EMBLEM = Markup(f'<svg viewBox="0 0 108 22" aria-hidden="true"><g fill="var(--s2)">{_CODES}</g><g fill="var(--s0)">{_VECTORS}</g></svg>')
"""Codes and vectors in turn, as the decoder reads them."""
