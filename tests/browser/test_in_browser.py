"""The report page in a real browser: it opens at once, sorts, filters, copies and explores; everybody can use it."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_page import MadePage
from packages import program

pytestmark = pytest.mark.chromium
AXE = "axe-core@4.11.0"
HOSTILE = '</script><script>window.wrong = 1</script><img src=x onerror="window.wrong = 1"> & \u202e{}'
SIZES = {"desk": (1440, 900), "phone": (360, 740), "tablet": (820, 1180)}


@pytest.fixture(scope="session")
def chromium() -> dict[str, str]:
    """The browser and its driver."""
    return {"chromium": program("chromium", "chromium"), "chromedriver": program("chromedriver", "chromium-driver")}


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script, from npm."""
    npm = program("npm", "npm")
    folder = tmp_path_factory.mktemp("axe")
    subprocess.run([npm, "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as files:
        return files.extractfile("package/axe.min.js").read().decode()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = MadePage(tmp_path_factory.mktemp("small"), text=HOSTILE.format, about=HOSTILE.format, samplers=4)
    return page.write()


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 students on 25 collections."""
    shape = {"students": 5, "losses": 10, "samplers": 10, "collections": 25, "queries": 3, "seeds": 1}
    return MadePage(tmp_path_factory.mktemp("large"), **shape).write()


@pytest.fixture
def driver(chromium: dict[str, str], request: pytest.FixtureRequest) -> Iterator:
    """A browser at the size and in the scheme that the test's parameter names."""
    from selenium import webdriver

    size, dark = getattr(request, "param", ("desk", False))
    width, height = SIZES[size]
    options = webdriver.ChromeOptions()
    options.binary_location = chromium["chromium"]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromium["chromedriver"]))
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    found.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    found.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    yield found
    found.quit()


def open_page(driver, page: Path) -> float:
    """Seconds until the page has loaded."""
    start = time.monotonic()
    driver.get(page.as_uri())
    driver.find_element("id", "grid")
    return time.monotonic() - start


@pytest.mark.parametrize(
    "driver",
    [(size, dark) for size in ("desk", "phone") for dark in (False, True)],
    indirect=True,
    ids=lambda p: f"{p[0]}-{p[1]}",
)
def test_no_barrier_no_error_and_no_text_runs(driver, small: Path, axe: str) -> None:
    open_page(driver, small)
    driver.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true })")
    driver.execute_script(axe)
    found = driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run().then(found => done(found.violations.map(each => [each.id, each.impact, each.nodes[0].html])))"
    )
    assert [each for each in found if each[1] in ("serious", "critical")] == []
    assert driver.execute_script("return window.wrong") is None
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
    # Nothing is wider than the window: what does not fit scrolls by itself.
    assert driver.execute_script("return document.documentElement.scrollWidth") <= driver.execute_script(
        "return window.innerWidth"
    )


def test_tables_are_sorted_filtered_and_copied(driver, small: Path) -> None:
    open_page(driver, small)
    part = driver.find_element("css selector", "#numbers .sortable")

    def rows() -> list[str]:
        return [row.text for row in part.find_elements("css selector", "tbody tr") if row.is_displayed()]

    whole = rows()
    heads = part.find_elements("css selector", "thead tr:last-child th button")

    def values() -> list[float]:
        cells = part.find_elements("css selector", "tbody td:nth-child(3)")
        return [float(found[0]) for cell in cells if (found := re.match(r"[\d.]+", cell.text))]

    heads[2].click()
    assert values() == sorted(values(), reverse=True) and len(set(values())) > 3
    heads[2].click()
    assert values() == sorted(values())
    heads[2].click()
    assert rows() == whole
    part.find_element("css selector", "input").send_keys("sam1 los0")
    assert len(rows()) == 1 and "sam1" in rows()[0]
    driver.execute_script(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => { window.copied = text }}})"
    )
    for name, start in (("CSV", "loss,sampler,"), ("Markdown", "| loss | sampler |"), ("LaTeX", "\\begin{tabular}")):
        part.find_element("xpath", f".//button[text()='{name}']").click()
        copied = driver.execute_script("return window.copied")
        assert copied.startswith(start) and "sam1" in copied and "sam2" not in copied


def test_numbers_sort_as_numbers_and_what_is_none_comes_last(driver, small: Path) -> None:
    open_page(driver, small)
    part = driver.find_element("css selector", "#numbers .sortable")
    column = "[...arguments[0].querySelectorAll('tbody td:nth-child(3)')]"
    texts = ["0.2 ± 0.1", "0", "−0.3", "<0.001", ">100", "", "100", "1,500", "infinite"]
    driver.execute_script(
        f"{column}.forEach((cell, row) => {{ cell.textContent = arguments[1][row] ?? '' }})", part, texts
    )
    head = part.find_elements("css selector", "thead tr:last-child th button")[2]
    ascending = ["−0.3", "0", "<0.001", "0.2 ± 0.1", "100", ">100", "1,500", "infinite"]
    for wanted in (ascending[::-1], ascending):
        head.click()
        shown = driver.execute_script(f"return {column}.map(cell => cell.textContent)", part)
        assert shown[: len(wanted)] == wanted and set(shown[len(wanted) :]) == {""}


def test_a_label_that_stands_once_is_written_out_where_rows_part(driver, small: Path) -> None:
    driver.get(f"{small.as_uri()}#table-configuration")
    part = driver.find_element("css selector", "#table-configuration[open] .sortable")

    def firsts() -> list[str]:
        rows = [row for row in part.find_elements("css selector", "tbody tr") if row.is_displayed()]
        return [row.find_element("css selector", "td").text for row in rows]

    assert firsts() == ["corpora", "", "training"]
    search = part.find_element("css selector", "input")
    search.send_keys("collection1 seed")
    assert firsts() == ["corpora"]
    search.clear()
    search.send_keys(" ")
    search.send_keys("\b")
    assert firsts() == ["corpora", "", "training"]
    part.find_elements("css selector", "thead button")[2].click()
    assert sorted(firsts()) == ["corpora", "corpora", "training"]
    # The long list is broken into lines: the table is no wider than the page.
    scroll = part.find_element("css selector", ".scroll")
    assert driver.execute_script("return arguments[0].scrollWidth - arguments[0].clientWidth", scroll) <= 0


def test_a_click_keeps_what_is_said_of_a_dot_and_its_command_is_copied(driver, small: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    open_page(driver, small)
    copy = "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => { window.copied = text }}})"
    driver.execute_script(copy)
    dot, tip = driver.find_element("css selector", "#grid .mark"), driver.find_element("id", "tip")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", dot)
    point = dot.find_element("css selector", ":scope > :last-child")
    ActionChains(driver).click(point).move_to_element(tip).perform()
    assert tip.is_displayed()
    tip.find_element("css selector", "button").click()
    assert driver.execute_script("return window.copied") == dot.get_attribute("data-command")
    ActionChains(driver).move_to_element(driver.find_element("css selector", "h2")).click().perform()
    assert not tip.is_displayed()
    # By keyboard: Enter leads to the button, Escape back to the dot; arrows to the next dot, one tab stop a picture.
    driver.execute_script("arguments[0].focus()", dot)
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert driver.switch_to.active_element.text == "Copy"
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed() and driver.switch_to.active_element == dot
    dot.send_keys(Keys.ARROW_DOWN)
    following = driver.switch_to.active_element
    assert following != dot and following.get_attribute("data-command") in tip.text
    stops = driver.find_elements("css selector", "#grid svg.panel .mark[tabindex='0']")
    assert len(stops) == len(driver.find_elements("css selector", "svg.panel"))


def test_queries_on_which_two_systems_tie_are_neither_won_nor_lost(driver, small: Path) -> None:
    open_page(driver, small)
    time.sleep(0.5)
    driver.find_element("css selector", "#one option[value='0']").click()
    shown = driver.find_element("id", "text").text
    assert {bar.get_attribute("class") for bar in driver.find_elements("css selector", "#strip rect")} <= {
        "same",
        "same chosen",
    }
    # Another second system: the query that was looked at stays.
    query = re.search(r"\(query \S+?;", shown)[0]
    driver.find_element("css selector", "#other option[value='3']").click()
    assert query in driver.find_element("id", "text").text
    assert driver.find_element("id", "most").text.startswith("+")


def test_a_number_of_the_table_says_the_command_that_makes_it(driver, small: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(driver, small)
    tip, cells = driver.find_element("id", "tip"), driver.find_elements("css selector", "#numbers .made")
    driver.execute_script("arguments[0].click()", cells[0])
    assert "make cell EXPERIMENT=made CELL=stu0.los0.sam0.base.seed0 DOMAIN=near" in tip.text
    cells[0].send_keys(Keys.ARROW_DOWN)
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    command = tip.find_element("css selector", "code")
    assert command.text == "make cell EXPERIMENT=made CELL=stu1.los0.sam1.base.seed0 DOMAIN=near"
    assert "one of its 2 trainings:" in tip.text
    # One line, whatever names it holds.
    assert command.rect["height"] < 30
    named = [cell.find_element("xpath", "..").text for cell in cells]
    assert named and not any(text.startswith(("BM25", "teacher")) for text in named)


@pytest.mark.parametrize("table", ["#numbers", "#table-main"])
def test_every_number_in_sight_is_reached_by_keyboard_alone(driver, small: Path, table: str) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(driver, small)
    driver.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true })")
    part = driver.find_element("css selector", f"{table} .sortable")
    stops = ".made[tabindex='0']"

    def walked(key: str) -> list[str]:
        """Rows and columns of the cells that a key leads through, from the table's stop of the tab key on."""
        (cell,) = part.find_elements("css selector", stops)
        driver.execute_script("arguments[0].focus()", cell)
        seen = []
        while not seen or cell != seen[-1]:
            seen.append(cell)
            cell.send_keys(key)
            cell = driver.switch_to.active_element
        return [driver.execute_script("return arguments[0].parentElement.innerText", each) for each in seen]

    shown = (
        "return [...arguments[0].querySelectorAll('tbody tr')].filter(row => row.querySelector('.made') && !row.hidden)"
    )
    rows = [row.text for row in driver.execute_script(shown, part)]
    assert len(rows) == 8 and [" ".join(text.split()) for text in walked(Keys.ARROW_DOWN)] == rows
    assert len(walked(Keys.ARROW_RIGHT)) == len(part.find_elements("css selector", f"tr:has({stops}) .made"))
    # What a filter hides is passed over, and hands the tab key's stop on; sorted, the order is that in sight.
    part.find_element("css selector", "input").send_keys("los1")
    part.find_elements("css selector", "thead tr:last-child th button")[2].click()
    rows = [row.text for row in driver.execute_script(shown, part)]
    walked(Keys.ARROW_UP)
    assert len(rows) == 4 and [" ".join(text.split()) for text in walked(Keys.ARROW_DOWN)] == rows


@pytest.mark.parametrize("driver", [("phone", False), ("tablet", False)], indirect=True, ids=lambda p: p[0])
def test_claims_are_read_without_scrolling_sideways(driver, small: Path) -> None:
    open_page(driver, small)
    boxes = driver.find_elements("css selector", ".claims .scroll")
    for box in boxes:
        hidden = (
            "const box = arguments[0]; return [box.scrollWidth - box.clientWidth, box.scrollHeight - box.clientHeight]"
        )
        assert max(driver.execute_script(hidden, box)) <= 0
    assert len(boxes) == 1 and boxes[0].find_element("css selector", ".strip-chart").rect["width"] > 100


def test_the_explorer_is_worked_by_keyboard_alone(driver, small: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(driver, small)
    time.sleep(0.5)
    slider = driver.find_element("id", "query")
    first = driver.find_element("id", "text").text
    assert "</script><script>window.wrong" in first
    # What turns the direction of a text does not turn what follows it.
    asked = driver.find_element("css selector", "#text bdi").get_attribute("textContent")
    assert asked.startswith("</script>") and "\u202e" in asked and "query " not in asked
    slider.send_keys(Keys.ARROW_RIGHT)
    assert driver.find_element("id", "text").text != first
    shown = [item.text for item in driver.find_elements("css selector", "#rankings li")]
    assert len(shown) == 10 and all("<img src=x" in text for text in shown)
    assert {"relevant", "not relevant", "not judged"} >= {text.splitlines()[1] for text in shown}
    other = driver.find_element("id", "other")
    before = driver.find_element("id", "summary").text
    other.send_keys(Keys.ARROW_DOWN)
    assert driver.find_element("id", "summary").text != before
    dot = driver.find_element("css selector", "#grid .mark")
    driver.execute_script("arguments[0].focus()", dot)
    tip = driver.find_element("id", "tip")
    assert tip.is_displayed() and "make cell EXPERIMENT=made" in tip.text
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_rows_of_the_grid_change_their_order(driver, small: Path) -> None:
    open_page(driver, small)
    read = (
        "return [...document.querySelector('svg.panel').querySelectorAll('.row')].map(row => Number(row.dataset.mean))"
    )
    as_listed = driver.execute_script(read)
    driver.find_element("css selector", "#order option[value=mean]").click()
    assert driver.execute_script(read) == sorted(as_listed, reverse=True) != as_listed
    driver.find_element("css selector", "#order option[value=grid]").click()
    assert driver.execute_script(read) != []


def test_a_page_of_500_students_opens_and_answers(driver, large: Path) -> None:
    assert large.stat().st_size < 20e6
    # No clock of ours: the browser's own measure of when the page could be used.
    open_page(driver, large)
    timing = driver.execute_script("return performance.getEntriesByType('navigation')[0].toJSON()")
    assert timing["domInteractive"] < 4000, json.dumps(timing)
    driver.find_element("css selector", "#order option[value=mean]").click()
    assert len(driver.find_elements("css selector", "svg.panel")) == 10


def test_without_javascript_claims_grid_and_tables_are_read(driver, small: Path) -> None:
    from selenium.common.exceptions import WebDriverException

    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get(small.as_uri())
    root = driver.execute_cdp_cmd("DOM.getDocument", {})["root"]["nodeId"]
    for selector in ("#grid .row", "#numbers tbody tr", "#queries noscript"):
        node = driver.execute_cdp_cmd("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        box = driver.execute_cdp_cmd("DOM.getBoxModel", {"nodeId": node})["model"]
        assert box["width"] > 50 and box["height"] > 5, selector
    for selector in ("#explorer", "#grid .tools", "header li.script"):
        node = driver.execute_cdp_cmd("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        with pytest.raises(WebDriverException, match="box model"):
            driver.execute_cdp_cmd("DOM.getBoxModel", {"nodeId": node})
