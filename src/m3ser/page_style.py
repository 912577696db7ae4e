"""How pages look: the style sheet that :mod:`m3ser.page` puts into every one.

The blue of bars and heat maps is told from the background by everyone, and in grey (Okabe, Ito 2008, "Color Universal
Design"). The fonts are the reader's own.
"""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """\
:root {
  color-scheme: light dark;
  --ground: #ffffff; --ink: #1b1f24; --quiet: #57606a; --line: #d8dee4; --rail: #eef1f4;
  --bar: #0072b2; --middle: #ffffff; --shade: 0, 114, 178; --notice: #8a4b00; --notice-ground: #fff4e0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --ink: #e6e9ec; --quiet: #9aa4ae; --line: #353c44; --rail: #232930;
    --bar: #56b4e9; --middle: #14171b; --shade: 86, 180, 233; --notice: #ffcf8a; --notice-ground: #33280f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 0.75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 0.75rem; }
h3, h4, h5, h6 { font-size: 1rem; margin: 1.25rem 0 0.5rem; }
p { margin: 0 0 0.75rem; white-space: pre-line; overflow-wrap: anywhere; max-width: 46rem; }
section { margin-top: 2rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
.notice {
  border-left: 4px solid var(--notice); background: var(--notice-ground); color: var(--notice);
  padding: 0.6rem 0.9rem; font-weight: 600; max-width: none;
}
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 0.75rem; margin: 1rem 0; }
.facts div { border: 1px solid var(--line); border-radius: 8px; padding: 0.5rem 0.75rem; }
.facts dt { color: var(--quiet); font-size: 0.85rem; }
.facts dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem 3rem; }
.beside > div { min-width: 0; }
.beside > div > :first-child { margin-top: 0; }
.scroll { overflow-x: auto; margin: 0.25rem 0 1rem; max-width: 100%; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: 0.35rem; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: left; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th[scope="row"] { position: sticky; left: 0; background: var(--ground); font-weight: 500; max-width: 22rem;
  white-space: normal; overflow-wrap: anywhere; min-width: 6rem; }
thead th { color: var(--quiet); font-weight: 600; vertical-align: bottom; }
.n { text-align: right; padding-left: 0.75rem; }
td.s { background: rgba(var(--shade), calc(var(--s) * 0.5)); padding-right: 0.75rem; }
tfoot th, tfoot td { font-weight: 700; border-bottom: 0; }
td .prose { display: block; min-width: 10rem; max-width: 34rem; white-space: normal; overflow-wrap: anywhere; }
td small { color: var(--quiet); }
pre { margin: 0.25rem 0 1rem; padding: 0.6rem 0.8rem; overflow-x: auto; background: var(--rail); border-radius: 6px; }
pre:focus-visible, a:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
code { font: 0.85rem/1.45 ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
a { color: var(--bar); }
nav ul { margin: 0 0 1rem; padding-left: 1.25rem; }
nav p { margin: 0; }
details { margin: 0.25rem 0 1rem; }
summary { cursor: pointer; color: var(--quiet); font-size: 0.9rem; padding: 0.2rem 0; }
figure { margin: 0 0 1rem; }
figure img { max-width: 100%; height: auto; background: #ffffff; }
figcaption { color: var(--quiet); font-size: 0.9rem; }
svg { display: block; overflow: visible; margin-bottom: 0.5rem; }
svg text { fill: var(--ink); font-size: 14px; }
svg .value { font-variant-numeric: tabular-nums; }
svg .value, svg .tick { fill: var(--quiet); }
svg .tick { font-size: 12px; }
svg .rail { fill: var(--rail); }
svg .bar { fill: var(--bar); }
svg .grid { stroke: var(--line); stroke-width: 1; stroke-dasharray: 1 3; }
svg .whisker { stroke: var(--bar); stroke-width: 2; }
svg .middle { stroke: var(--middle); stroke-width: 3; }
@media print {
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  td { white-space: normal; }
  th[scope="row"] { position: static; }
  td.s { print-color-adjust: exact; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, .facts, .notice { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
