"""One content, two renderings: Markdown, and one self-contained HTML file."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from agegender.report.template import html_template

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
class Tile:
    """A figure in large digits, on a scale from 0 to `top` with others beside it: (name, value) pairs."""

    label: str
    value: float | None
    digits: int
    unit: str = ""
    low: float | None = None
    high: float | None = None
    top: float = 1.0
    beside: Sequence[tuple[str, float]] = ()

    def text(self, value: float | None) -> str:
        """With the tile's digits; a dash where there is none."""
        return "–" if value is None else f"{value:.{self.digits}f}"

    @property
    def interval(self) -> str:
        """Empty where there is none."""
        return "" if self.low is None else f"{self.text(self.low)}–{self.text(self.high)}"

    def share(self, value: float) -> float:
        """Where it lies on the scale, in percent."""
        return round(100 * min(max(value / self.top, 0), 1), 2)


@dataclass(frozen=True)
class Tiles:
    """The few figures that come first."""

    items: Sequence[Tile]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A PNG in the page's folder; `alt` says in words what it shows to whoever cannot see it.

    Two stand side by side where the page has room, a `wide` one alone. It is drawn on white: a dark page
    shows its colours the other way round.
    """

    path: Path
    caption: str
    alt: str
    wide: bool = False


@dataclass(frozen=True)
class Gallery:
    """Photographs in the page's folder: (JPEG, what is known of it, a line each) pairs."""

    items: Sequence[tuple[Path, Sequence[str]]]
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Text as it is."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Links:
    """Relative links: (label, target)."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Details:
    """What few readers look for, behind its title."""

    title: str
    blocks: Sequence[Block]


Block = Text | Table | Facts | Tiles | Figure | Gallery | Code | Links | Details


@dataclass
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def rows(self) -> list[list[Block]]:
        """Its blocks, figures that follow one another together."""
        pairs = groupby(self.blocks, lambda block: isinstance(block, Figure))
        return [
            row for is_figure, found in pairs for row in ([list(found)] if is_figure else map(_alone, found))
        ]


@dataclass
class Page:
    """A report: a head and sections."""

    title: str
    kicker: str = ""
    """A line above the title."""
    badge: tuple[str, bool] | None = None
    """The status in a word, and whether it is as it should be."""
    facts: Sequence[tuple[str, str]] = ()
    """(name, value) pairs under the title."""
    sections: list[Section] = field(default_factory=list)

    def section(self, title: str, *blocks: Block) -> Section:
        """Append a section."""
        self.sections.append(Section(title, list(blocks)))
        return self.sections[-1]

    def to_markdown(self, folder: Path) -> str:
        """Markdown with figures linked relative to `folder`."""
        lines = [f"# {_escaped(self.title)}", ""]
        if self.kicker:
            lines += [_escaped(self.kicker), ""]
        if self.facts:
            lines += [*_markdown(Facts(self.facts), folder), ""]
        for section in self.sections:
            lines += [f"## {_escaped(section.title)}", ""]
            for block in section.blocks:
                lines += [*_markdown(block, folder), ""]
        return "\n".join(lines).rstrip() + "\n"

    def to_html(self) -> str:
        """One HTML file without script or request; pictures are embedded."""
        return html_template("page.html").render(
            page=self,
            kind=lambda block: type(block).__name__,
            pieces=_pieces,
            embedded=_embedded,
            quoted=quote,
        )


def _alone(block: Block) -> list[Block]:
    return [block]


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
        case Tiles(items, caption):
            lines = [f"- {_escaped(_in_words(tile))}" for tile in items]
            return [*lines, "", _escaped(caption)] if caption else lines
        case Figure(path, caption, alt, _):
            return [f"![{_escaped(alt)}]({_target(path, folder)})", "", _escaped(caption)]
        case Gallery(items, caption):
            pictures = [f"![{_escaped(', '.join(words))}]({_target(path, folder)})" for path, words in items]
            marks = "|" + " :-- |" * len(items)
            lines = [_row(["; ".join(words) for _, words in items]), marks, f"| {' | '.join(pictures)} |"]
            return [*lines, "", _escaped(caption)] if caption else lines
        case Details(title, blocks):
            inner = [line for block in blocks for line in ("", *_markdown(block, folder))]
            return [f"### {_escaped(title)}", *inner]
        case Code(text, language):
            longest = max((len(run) for run in re.findall("`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            return [f"{fence}{language}", text.rstrip(), fence]
        case Links(items):
            return [f"- [{_escaped(label)}]({quote(target)})" for label, target in items]


def _in_words(tile: Tile) -> str:
    found = f"{tile.label}: {tile.text(tile.value)}{f' {tile.unit}' if tile.unit else ''}"
    found += f" ({tile.interval})" if tile.interval else ""
    return "; ".join([found, *(f"{name} {tile.text(value)}" for name, value in tile.beside)])


def _target(path: Path, folder: Path) -> str:
    return quote(path.relative_to(folder).as_posix())


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _pieces(cell: str) -> list[str]:
    """Between which a cell's line may break: not within an interval."""
    return re.findall(r"\([^)]*\)|\S+", cell)


def _embedded(path: Path) -> str:
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(path.read_bytes()).decode()
