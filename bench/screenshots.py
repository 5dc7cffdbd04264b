"""Screenshots of a report, for docs/images: desktop in light colours, phone in dark ones.

    isrf report WS && python bench/screenshots.py WS/report.html docs/images

Needs Chromium, from the system (``apt-get install chromium``) or from ``playwright install chromium``.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import sync_playwright

Scheme = Literal["light", "dark"]
SHOTS: dict[str, tuple[int, int, Scheme, str]] = {
    "report-desktop-light": (1280, 1500, "light", "results"),
    "report-phone-dark": (390, 1400, "dark", "map"),
}
"""Name -> width, height, colour scheme, and the section that is at the top."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_on_this_machine() -> str | None:
    """Path of a Chromium that is installed; None leaves it to Playwright's own."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def shoot(report: Path, folder: Path, whole: bool = False) -> list[Path]:
    """Write the screenshots as PNG; ``whole`` takes the page from top to bottom in every size and scheme instead."""
    folder.mkdir(parents=True, exist_ok=True)
    shots: dict[str, tuple[int, int, Scheme, str]] = SHOTS
    if whole:
        schemes: tuple[Scheme, ...] = ("light", "dark")
        shots = {f"{width}-{scheme}": (width, 900, scheme, "") for width in (390, 1280) for scheme in schemes}
    written = []
    with sync_playwright() as playwright:
        options: dict[str, Any] = {"executable_path": browser_on_this_machine(), "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        for name, (width, height, scheme, section) in shots.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(report.resolve().as_uri())
            if section and section != "results":
                page.evaluate("name => document.getElementById(name).scrollIntoView({behavior: 'instant'})", section)
            path = folder / f"{name}.png"
            page.screenshot(path=path, full_page=whole)
            written.append(path)
        browser.close()
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.html")
    parser.add_argument("folder", type=Path, help="where the PNG files go")
    parser.add_argument(
        "--whole", action="store_true", help="whole pages, phone and desktop, light and dark: to look at"
    )
    chosen = parser.parse_args()
    for path in shoot(chosen.report, chosen.folder, chosen.whole):
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
