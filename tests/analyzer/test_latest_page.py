"""The operator page shows the latest event in a real browser."""

import re

import httpx
import pytest

from tests.analyzer.online_bench import physics, running
from tests.conftest import free_port, require_module, require_program


@pytest.fixture(scope="module")
def page():
    """The page of an experiment without an analyzer, and its bench."""
    chromium = require_program("chromium")
    playwright = require_module("playwright.sync_api")
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    return playwright, chromium, arguments


def test_a_browser_shows_image_clusters_waveforms_and_spectrum(page, tmp_path):
    playwright, chromium, arguments = page
    port = free_port()
    with running(tmp_path) as bench, playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=arguments)
        bench.start_logger()
        bench.programs.start("web", "sim.web", "--port", str(port))
        bench.programs.wait_for(lambda: answers(port), 20, "the web server")
        shown = browser.new_page()
        problems = []
        shown.on("pageerror", lambda error: problems.append(str(error)))
        shown.goto(f"http://127.0.0.1:{port}/")
        hint = shown.locator("#latest-hint")
        hint.filter(has_text="The analyzer does not run").wait_for()
        bench.start_analyzer()
        hint.filter(has_text="No run was analyzed yet").wait_for()
        run = bench.begin()
        bench.send(physics(3, first=1))  # the first of them has a trigger
        caption = shown.locator("#latest-caption")
        caption.filter(has_text=re.compile(rf"run {run}, event \d: 1 cluster;")).wait_for()
        assert shown.locator("#latest-clusters rect").count() == 1
        assert "spot: " in shown.locator("#latest-clusters title").text_content()
        assert shown.evaluate("byId('latest-image').naturalWidth") == 24
        hint.filter(has_text="3 events analyzed").wait_for()
        assert shown.locator("#latest-waveforms figure").count() == 1  # channel 1 of a V1720
        shown.select_option("#latest-spectrum-name", "clusters")
        spectrum = shown.locator("#latest-spectrum-caption")
        spectrum.filter(has_text=f"clusters in a frame; 3 events of run {run}").wait_for()
        bench.end(run, 3)
        bench.wait_for_results(run)
        assert not problems
        browser.close()


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    except httpx.TransportError:
        return False
