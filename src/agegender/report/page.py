"""One content, two renderings: Markdown, and one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment

_MARKDOWN_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|"} | {"\n": " "})


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
class Figure:
    """A PNG beside the report, with what it shows in words."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Code:
    """Text as it is."""

    text: str


@dataclass(frozen=True)
class Links:
    """Relative links: (label, target)."""

    items: Sequence[tuple[str, str]]


Block = Text | Table | Figure | Code | Links


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
        environment.globals.update(embedded=_embedded, kind=lambda block: type(block).__name__)
        return environment.from_string(_HTML).render(page=self)


def _escaped(text: str) -> str:
    return text.translate(_MARKDOWN_SPECIAL)


def _markdown(block: Block, folder: Path) -> list[str]:
    match block:
        case Text(text, warning):
            return [f"**Warning.** {_escaped(text)}" if warning else _escaped(text)]
        case Table(headers, rows, caption):
            marks = [":--", *["--:"] * (len(headers) - 1)]
            lines = [_row(headers), _row(marks, escape=False), *[_row(row) for row in rows]]
            return [*lines, "", _escaped(caption)] if caption else lines
        case Figure(path, caption):
            return [f"![{_escaped(caption)}]({path.relative_to(folder).as_posix()})", "", _escaped(caption)]
        case Code(text):
            return ["```", text.rstrip().replace("```", "'''"), "```"]
        case Links(items):
            return [f"- [{_escaped(label)}]({target})" for label, target in items]


def _row(cells: Sequence[str], escape: bool = True) -> str:
    return "| " + " | ".join(_escaped(cell) if escape else cell for cell in cells) + " |"


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ page.title }}</title>
<style>
:root { color-scheme: light dark;
  --ink: #1c2530; --soft: #5c6773; --paper: #fff; --line: #d7dde3; --warn: #fff3d6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #9aa5b1; --paper: #14191f; --line: #333c46; --warn: #4a3a10; }
}
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.caption { color: var(--soft); font-size: .9rem; }
.warning { background: var(--warn); border-left: 4px solid #e69f00; padding: .6rem 1rem; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; background: #fff; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid var(--line); font-size: .85rem; }
@media print { body { margin: 0; max-width: none; } figure, tr { break-inside: avoid; } }
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
<div class="scroll"><table>
<thead><tr>{% for cell in block.headers %}<th>{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in block.rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% if block.caption %}<p class="caption">{{ block.caption }}</p>{% endif %}
{% elif kind(block) == "Figure" %}
<figure><img src="{{ embedded(block.path) }}" alt="{{ block.caption }}">
<figcaption class="caption">{{ block.caption }}</figcaption></figure>
{% elif kind(block) == "Code" %}
<pre>{{ block.text }}</pre>
{% elif kind(block) == "Links" %}
<ul>{% for label, target in block["items"] %}<li><a href="{{ target }}">{{ label }}</a></li>{% endfor %}</ul>
{% endif %}
{% endfor %}
{% endfor %}
</body>
</html>
"""
