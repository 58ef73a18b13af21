"""A page says the same in Markdown and HTML, whatever signs its text holds."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from agegender.report.page import (
    Code,
    Details,
    Facts,
    Figure,
    Gallery,
    Links,
    Page,
    Section,
    Table,
    Text,
    Tile,
    Tiles,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)

NASTY = (
    "a | b",
    "<script>alert(1)</script>",
    "Tom & Jerry &amp; &lt;",
    "two\nlines\r\nhere",
    "*bold* _under_score `code` ~~gone~~ $x$",
    "[link](http://example.org) ![image](x.png)",
    "back\\slash \\| \\",
    "# heading",
    "- item",
    "+ item",
    "--- ",
    "=",
    "12. item",
    "1) item",
    "> quote",
    "-0.5",
    "ä ß 顔 “quotes” 'single' \"double\"",
)


class _Text(HTMLParser):
    """The text of a page, the tags it has, and the addresses that it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.targets: list[str] = []
        self.alts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {name: value or "" for name, value in attrs}
        self.sources += [found[name] for name in ("src", "srcset", "data") if name in found]
        self.alts += [found["alt"]] if "alt" in found else []
        if "href" in found:
            (self.targets if tag == "a" else self.sources).append(found["href"])

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def words(self) -> str:
        return " ".join("".join(self.text).split())


def _from_markdown(text: str) -> _Text:
    return _Text(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))


def _page(text: str, folder: Path) -> Page:
    (folder / "plots").mkdir()
    (folder / "plots" / "a.png").write_bytes(PNG)
    page = Page(f"title {text}", text, (text, True), [(text, text)])
    page.section(
        f"section {text}",
        Text(text),
        Text(text, warning=True),
        Table(["", text], [[text, "1"], ["x", text]], text),
        Facts([(text, text)]),
        Figure(folder / "plots" / "a.png", text, text),
        Tiles([Tile(text, 1.5, 1, text, 1.4, 1.6, 2.0, [(text, 0.25)])], text),
        Gallery([(folder / "plots" / "a.png", (text, text))], text),
        Details(text, [Text(text)]),
        Links([(text, "0/re port(1).html")]),
    )
    return page


@pytest.mark.parametrize("text", NASTY)
def test_text_is_shown_as_it_is(text: str, tmp_path: Path) -> None:
    page = _page(text, tmp_path)
    shown = " ".join(text.split())
    markdown = _from_markdown(page.to_markdown(tmp_path))
    html = _Text(re.sub(r"<style>.*</style>", "", page.to_html(), flags=re.DOTALL))
    for rendered in (markdown, html):
        # kicker, title, two of a fact, section, paragraph, warning, three cells, caption, two of a fact,
        # figure's caption, tile's label, unit and neighbour, caption, two of a photo, caption, details, link
        assert rendered.words().count(shown) >= 24, rendered.words()
        assert rendered.targets == ["0/re%20port%281%29.html"]
        assert not {"script", "em", "s", "blockquote", "ol", "hr"} & set(rendered.tags)
        assert rendered.tags.count("h1") == rendered.tags.count("h2") == 1
        assert rendered.tags.count("img") == 2
    assert [rendered.tags.count("tr") for rendered in (html, markdown)] == [3, 5]  # a gallery is a table
    assert [html.tags.count(tag) for tag in ("td", "th")] == [2, 4]
    assert html.alts == [text, ""]  # a photo's words stand below it
    assert [" ".join(alt.split()) for alt in markdown.alts] == [shown, " ".join(f"{text}, {text}".split())]
    assert markdown.sources == ["plots/a.png"] * 2
    assert markdown.tags.count("strong") == 1  # the word "Warning"


def test_html_needs_nothing_else(tmp_path: Path) -> None:
    page = _page("text", tmp_path).to_html()
    assert set(_Text(page).sources) == {"data:image/png;base64," + base64.b64encode(PNG).decode()}
    assert not {"script", "link", "iframe"} & set(_Text(page).tags)
    assert not re.search(r"url\(|@import|https?://", page)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page  # no browser may load more
    for medium in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem", 'name="viewport"'):
        assert medium in page


@pytest.mark.parametrize("code", ["a: 1\nb: '|'\n", "```\ninner\n```\n", "x = '````'", "<b>&amp;"])
def test_code_is_kept(code: str, tmp_path: Path) -> None:
    page = Page("page")
    page.section("code", Code(code, "yaml"))
    for html in (page.to_html(), MarkdownIt("commonmark").render(page.to_markdown(tmp_path))):
        rendered = _Text(re.sub(r"<style>.*</style>", "", html, flags=re.DOTALL))
        assert code.rstrip() in "".join(rendered.text)
        assert rendered.tags.count("pre") == 1


def test_sections_keep_their_order(tmp_path: Path) -> None:
    page = Page("page")
    first = page.section("first")
    page.section("second", Text("two"))
    first.blocks.append(Text("one"))
    assert page.to_markdown(tmp_path) == "# page\n\n## first\n\none\n\n## second\n\ntwo\n"


def test_figures_that_follow_one_another_stand_together(tmp_path: Path) -> None:
    a, b, c = (Figure(tmp_path / f"{name}.png", "", "") for name in "abc")
    text = Text("between")
    assert Section("s", [text, a, b, text, c]).rows == [[text], [a, b], [text], [c]]


def test_contents_lead_to_every_section() -> None:
    page = Page("page")
    for name in ("one", "two", "three"):
        page.section(name, Text(name))
    html = page.to_html()
    assert re.findall(r'<a href="#(\w+)">(\w+)</a>', html) == [("s1", "one"), ("s2", "two"), ("s3", "three")]
    assert re.findall(r'<section id="(\w+)">', html) == ["s1", "s2", "s3"]


@pytest.mark.parametrize(("value", "share"), [(0.0, 0), (-3.0, 0), (5.0, 25), (20.0, 100), (50.0, 100)])
def test_a_tile_has_a_scale(value: float, share: float) -> None:
    assert Tile("", value, 0, top=20.0).share(value) == share


def test_a_tile_without_value_or_interval() -> None:
    page = Page("page")
    page.section("s", Tiles([Tile("age RMSE", None, 2, "years"), Tile("F1", 0.5, 3)]))
    assert "- age RMSE: – years\n- F1: 0.500\n" in page.to_markdown(Path())
    html = page.to_html()
    assert html.count('class="scale"') == 1
    assert 'class="range"' not in html
