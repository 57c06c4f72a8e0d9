"""The page in a real browser: no error, nothing fetched, the slider moves what it should."""

import json
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.conftest import write_run
from tests.report.pages import ESCAPED, FRAMES, STUCK, WINDOW, page

pytestmark = pytest.mark.needs("chromium")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all tests of this file."""
    options = webdriver.ChromeOptions()
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1200,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of a stuck and an escaped run, the first one probed."""
    folder = tmp_path_factory.mktemp("report")
    paths = [
        write_run(folder / f"{name}.h5", frames=FRAMES, config=WINDOW, **kinds)
        for name, kinds in (
            ("stuck", {"seed": 1, "reward": 0.1, "log": STUCK}),
            ("escaped", {"seed": 2, "log": ESCAPED}),
        )
    ]
    made = folder / "report.html"
    made.write_text(page(paths), encoding="utf-8")
    return made


@pytest.fixture
def opened(browser, file):
    """The page as it is when it has just been opened, at 1200 pixels, in light."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(file.as_uri())
    return browser


def texts(browser, selector):
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]


def emulate(browser, **features):
    given = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": given})


def width(browser, pixels):
    size = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return browser.execute_script("return document.documentElement.scrollWidth")


def test_no_error_and_nothing_is_fetched(opened) -> None:
    assert opened.get_log("browser") == []
    messages = [json.loads(e["message"])["message"] for e in opened.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"].endswith("WillBeSent")]
    assert urls[0].startswith("file://")
    assert all(url.startswith("data:") for url in urls[1:])
    loaded = (
        "return [...document.images].every((image) => image.complete && image.naturalWidth > 0)"
    )
    assert opened.execute_script(loaded)


def test_the_slider_moves_by_keyboard(opened) -> None:
    slider = opened.find_element(By.ID, "frame")
    slider.send_keys(Keys.TAB)  # it can be left, and come back to
    slider.send_keys(Keys.HOME)
    assert texts(opened, "#frame-value") == ["0"]
    assert texts(opened, ".then") == ["-", "-"]
    slider.send_keys(*[Keys.ARROW_RIGHT] * 2)
    assert texts(opened, "#frame-value") == ["2,000"]
    assert slider.get_attribute("aria-valuetext") == "frame 2,000"
    assert texts(opened, ".then") == ["collapsed", "collapsed"]
    cursors = [c.get_attribute("d") for c in opened.find_elements(By.CSS_SELECTOR, ".cursor")]
    assert set(cursors) == {"M178.0 10V124"}  # half way between 44 and 312
    slider.send_keys(Keys.END)
    assert texts(opened, ".then") == ["collapsed", "healthy"]
    readings = texts(opened, "section[data-run='1'] .reading")
    assert readings == ["40", "0.6", "1e-6 · 1e-7"]


def test_the_heat_map_follows(opened) -> None:
    heat = "section[data-run='0'] .heat tbody"
    assert texts(opened, f"{heat} tr:first-child td") == ["0.25 7", "0.90 7", "<0 7"]
    assert texts(opened, f"{heat} tr:last-child td") == ["-", "-", "-"]
    best = opened.find_elements(By.CSS_SELECTOR, f"{heat} td.best")
    assert [cell.text for cell in best] == ["0.90 7"]
    opened.find_element(By.ID, "frame").send_keys(Keys.HOME)
    assert texts(opened, f"{heat} tr:first-child td")[1] == "0.10 7"
    assert texts(opened, f"{heat} td.best") == ["0.25 7"]
    assert texts(opened, ".heat-frame") == ["0"]
    assert "vrlprobe probe escaped.h5" in texts(opened, ".missing")[0]


def test_light_and_dark(opened) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    emulate(opened, prefers_color_scheme="light")
    light = opened.execute_script(ground)
    emulate(opened, prefers_color_scheme="dark")
    dark = opened.execute_script(ground)
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (light, dark)]
    assert brightness[0] > 600
    assert brightness[1] < 150


@pytest.mark.parametrize("pixels", [360, 390, 768])
def test_no_page_is_wider_than_the_phone(opened, pixels) -> None:
    assert width(opened, pixels) <= pixels


def test_verdicts_and_what_the_slider_moves_are_in_sight_on_a_phone(opened) -> None:
    width(opened, 390)
    longer = "walker_walk-desk-seed12-4710c88a-with-a-longer-name"
    opened.execute_script(
        f"for (const a of document.querySelectorAll('.cohort a')) a.textContent = '{longer}'"
    )
    for mark in opened.find_elements(By.CSS_SELECTOR, ".cohort .mark, .cohort td"):
        assert mark.is_displayed()
        assert mark.rect["x"] + mark.rect["width"] <= 390


def test_print_shows_everything_but_the_slider(opened) -> None:
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not opened.find_element(By.CSS_SELECTOR, ".slider").is_displayed()
    assert not any(c.is_displayed() for c in opened.find_elements(By.CSS_SELECTOR, ".cursor"))
    shown = opened.find_elements(By.CSS_SELECTOR, ".chart, .strip, .heat, footer")
    assert all(element.is_displayed() for element in shown)


def test_every_scrolling_part_and_link_can_be_reached_by_keyboard(opened) -> None:
    parts = opened.find_elements(By.CSS_SELECTOR, ".scroll")
    assert all(part.get_attribute("tabindex") == "0" for part in parts)
    assert all(part.get_attribute("aria-label") for part in parts)
    opened.find_element(By.LINK_TEXT, "escaped").send_keys(Keys.ENTER)
    assert opened.current_url.endswith("#run-1")
