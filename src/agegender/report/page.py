"""One content, two renderings: Markdown, and one self-contained HTML file."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

_SPECIAL = re.compile(r"([\\`*_\[\]<>|&~$])")
_LINE_START = re.compile(r"^(\d*)([#=.)]|[+-](?=[\s-]|$))(?=\D|$)")


@dataclass(frozen=True)
class Text:
    """A paragraph; `warning` makes it stand out."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text under headers; the first column names the row, the others are figures."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """(name, value) pairs whose values are words."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Figure:
    """A PNG in the page's folder; `alt` says in words what it shows to whoever cannot see it.

    Two stand side by side where the page has room, a `wide` one alone.
    """

    path: Path
    caption: str
    alt: str
    wide: bool = False


@dataclass(frozen=True)
class Code:
    """Text as it is."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Links:
    """Relative links: (label, target)."""

    items: Sequence[tuple[str, str]]


Block = Text | Table | Facts | Figure | Code | Links


@dataclass
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Page:
    """A report: a title and sections."""

    title: str
    sections: list[Section] = field(default_factory=list)

    def section(self, title: str, *blocks: Block) -> Section:
        """Append a section."""
        self.sections.append(Section(title, list(blocks)))
        return self.sections[-1]

    def to_markdown(self, folder: Path) -> str:
        """Markdown with figures linked relative to `folder`."""
        lines = [f"# {_escaped(self.title)}", ""]
        for section in self.sections:
            lines += [f"## {_escaped(section.title)}", ""]
            for block in section.blocks:
                lines += [*_markdown(block, folder), ""]
        return "\n".join(lines).rstrip() + "\n"

    def to_html(self) -> str:
        """One HTML file without script or request; figures are embedded."""
        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        environment.filters.update(embedded=_embedded, quoted=quote)
        environment.globals["kind"] = lambda block: type(block).__name__
        return environment.from_string(_HTML).render(page=self)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, no heading, no list."""
    return _LINE_START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", " ".join(text.split())))


def _markdown(block: Block, folder: Path) -> list[str]:
    match block:
        case Text(text, warning):
            return [f"**Warning:** {_escaped(text)}" if warning else _escaped(text)]
        case Table(headers, rows, caption):
            marks = "| " + " | ".join([":--", *["--:"] * (len(headers) - 1)]) + " |"
            lines = [_row(headers), marks, *map(_row, rows)]
            return [*lines, "", _escaped(caption)] if caption else lines
        case Facts(items):
            return [f"- {_escaped(name)}: {_escaped(value)}" for name, value in items]
        case Figure(path, caption, alt, _):
            target = quote(path.relative_to(folder).as_posix())
            return [f"![{_escaped(alt)}]({target})", "", _escaped(caption)]
        case Code(text, language):
            longest = max((len(run) for run in re.findall("`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            return [f"{fence}{language}", text.rstrip(), fence]
        case Links(items):
            return [f"- [{_escaped(label)}]({quote(target)})" for label, target in items]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ page.title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1c2530; --soft: #56616c; --paper: #fff; --line: #d7dde3;
  --warn: #fff3d6; --link: #0063a0; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #a3adb8; --paper: #14191f; --line: #333c46; --warn: #40330f;
    --link: #7cc4f0; }
}
* { box-sizing: border-box; }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
p, dd { max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--link); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
thead th { vertical-align: bottom; }
td span { white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; font-weight: normal; }
thead th, thead th:first-child { font-weight: 600; }
.caption { color: var(--soft); font-size: .9rem; margin-top: .5rem; }
.warning { background: var(--warn); border-left: 4px solid #e69f00; padding: .6rem 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; }
dt { color: var(--soft); } dd { margin: 0; }
figure { display: inline-block; vertical-align: top; width: 29rem; max-width: 100%;
  margin: .5rem .5rem 1rem 0; }
figure.wide { width: 100%; margin-right: 0; }
img { width: 100%; height: auto; background: #fff; border-radius: 4px; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid var(--line); font-size: .85rem; line-height: 1.4; }
@media (max-width: 40rem) {
  body { margin: 1rem auto; }
  th, td { padding: .3rem; font-size: .8rem; }
  dl { grid-template-columns: fit-content(8rem) 1fr; }
}
@media print {
  body { margin: 0; max-width: none; font-size: 11pt; }
  h2 { break-after: avoid; } figure, tr, .warning { break-inside: avoid; }
  figure { width: 48%; } figure.wide { width: 100%; }
  pre { white-space: pre-wrap; } .scroll { overflow: visible; }
  th, td { padding: .2rem .4rem; font-size: 9pt; }
}
</style>
</head>
<body>
<h1>{{ page.title }}</h1>
{% for section in page.sections %}
<h2>{{ section.title }}</h2>
{% for block in section.blocks %}
{% if kind(block) == "Text" %}
<p{% if block.warning %} class="warning"{% endif %}>{{ block.text }}</p>
{% elif kind(block) == "Table" %}
<div class="scroll" tabindex="0"><table>
<thead><tr>{% for cell in block.headers %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in block.rows %}
<tr><th scope="row">{{ row[0] }}</th>{% for cell in row[1:] %}
<td>{% for word in cell.split() %}<span>{{ word }}</span> {% endfor %}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% if block.caption %}<p class="caption">{{ block.caption }}</p>{% endif %}
{% elif kind(block) == "Facts" %}
<dl>{% for name, value in block["items"] %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% elif kind(block) == "Figure" %}
<figure{% if block.wide %} class="wide"{% endif %}>
<img src="{{ block.path | embedded }}" alt="{{ block.alt }}">
<figcaption class="caption">{{ block.caption }}</figcaption></figure>
{% elif kind(block) == "Code" %}
<pre>{{ block.text }}</pre>
{% elif kind(block) == "Links" %}
<ul>{% for label, target in block["items"] %}<li><a href="{{ target | quoted }}">{{ label }}</a></li>
{% endfor %}</ul>
{% endif %}
{% endfor %}
{% endfor %}
</body>
</html>
"""
