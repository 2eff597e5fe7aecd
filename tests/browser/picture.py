"""A picture of parts of a report page, as README shows it: python -m tests.browser.picture PAGE PICTURE SELECTOR ...

README's: results/demo/report.html docs/images/demo-grid.png ".panels figure:nth-child(1)" ".panels figure:nth-child(2)"
"""

from __future__ import annotations

import base64
import shutil
import sys
from pathlib import Path

EDGE = 12


def main(page: Path, picture: Path, *selectors: str) -> None:
    """Write a PNG of what the selectors first find, all in one, at a desktop's width."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,2400"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.get(page.resolve().as_uri())
        driver.execute_script("document.querySelector('nav').style.position = 'static'")
        boxes = [driver.find_element("css selector", each).rect for each in selectors]
        left, top = (min(box[side] for box in boxes) - EDGE for side in ("x", "y"))
        width = max(box["x"] + box["width"] for box in boxes) + EDGE - left
        height = max(box["y"] + box["height"] for box in boxes) + EDGE - top
        clip = {"x": left, "y": top, "width": width, "height": height, "scale": 1}
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        picture.write_bytes(base64.b64decode(shot["data"]))
    finally:
        driver.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
