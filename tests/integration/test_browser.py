"""A run's page in a browser: silent, not wider than a phone, dark where that is wanted, and on paper."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def _chromium(folder: Path, page: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    call = [
        str(CHROMIUM),
        *flags,
        f"--user-data-dir={folder / 'profile'}",
        *arguments,
        page.resolve().as_uri(),
    ]
    return subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)


def test_the_console_is_silent(tiny_run: Path, tmp_path: Path) -> None:
    """The page's own policy forbids every request: one would be an error on the console."""
    page = tiny_run / "report.html"
    done = _chromium(tmp_path, page, "--dump-dom", "--enable-logging=stderr")
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<h2>") == page.read_text(encoding="utf-8").count("<h2>") > 8
    broken = tmp_path / "broken.html"
    content = page.read_text(encoding="utf-8").replace("</main>", "<img src='http://127.0.0.1/x.png'></main>")
    broken.write_text(content, encoding="utf-8")
    assert "CONSOLE" in _chromium(tmp_path, broken, "--dump-dom", "--enable-logging=stderr").stderr


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(width: int, tiny_run: Path, tmp_path: Path) -> None:
    page = html.escape((tiny_run / "report.html").read_text(encoding="utf-8"))
    measure = "document.title = this.contentDocument.documentElement.scrollWidth"
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<title></title><iframe srcdoc="{page}" width="{width}" height="800" style="border:0" '
        f'onload="{measure}"></iframe>',
        encoding="utf-8",
    )
    done = _chromium(tmp_path, frame, "--dump-dom", "--window-size=1400,900")
    found = re.search("<title>(.*?)</title>", done.stdout)
    assert found
    assert found[1] == str(width)


def _brightness(tiny_run: Path, folder: Path, scheme: int) -> float:
    """Mean of the page's upper part, charts included, from 0 to 255."""
    shot = folder / f"{scheme}.png"
    scheme_flag = f"--blink-settings=preferredColorScheme={scheme}"
    _chromium(
        folder, tiny_run / "report.html", scheme_flag, "--window-size=1280,3000", f"--screenshot={shot}"
    )
    with Image.open(shot) as image:
        return float(np.asarray(image.convert("L")).mean())


def test_a_dark_page_does_not_glare(tiny_run: Path, tmp_path: Path) -> None:
    assert _brightness(tiny_run, tmp_path, 0) < 60
    assert _brightness(tiny_run, tmp_path, 1) > 220


def test_it_prints(tiny_run: Path, tmp_path: Path) -> None:
    paper = tmp_path / "report.pdf"
    _chromium(tmp_path, tiny_run / "report.html", f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")


def test_it_is_small(tiny_run: Path) -> None:
    assert (tiny_run / "report.html").stat().st_size < 3_000_000
