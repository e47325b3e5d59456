"""In a real browser: every notebook runs in JupyterLab, and each widget changes its picture.

    python -m pytest tests/classroom/test_browser.py -m browser

It needs chromium and playwright: pip install -e ".[test,browser]"

With TINYBERT_SCREENSHOTS=FOLDER it leaves a picture of every screenful there.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tools.build_notebooks import build, kernels, sources, write

pytestmark = pytest.mark.browser
CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
TOKEN = "lessons"
# Every cell stays in the page: by default those out of sight are taken out of it.
SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, in the smoke profile, with temporary folders."""
    root = tmp_path_factory.mktemp("lab")
    for source in sources():
        write(build(source), root / "notebooks" / f"{source.stem}.ipynb")
    port = free_port()
    homes = {
        name: str(root / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "IPYTHONDIR",
        )
    }
    overrides = root / "jupyter_config_dir" / "labconfig" / "default_setting_overrides.json"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(json.dumps(SETTINGS), encoding="utf-8")
    with kernels(root / "workspace", "smoke"):
        (root / "workspace").mkdir()
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.root_dir={root}",
            "--LabApp.extension_manager=readonly",
        ]
        with open(root / "server.log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **homes})
            try:
                place = f"http://127.0.0.1:{port}"
                for _ in range(120):
                    try:
                        urllib.request.urlopen(
                            f"{place}/api/status?token={TOKEN}", timeout=2
                        ).close()
                        break
                    except OSError:
                        time.sleep(0.5)
                yield place
            finally:
                server.terminate()
                server.wait()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("no chromium is installed here")
    with playwright.sync_playwright() as found:
        running = found.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


def run_all_cells(page, address: str, name: str) -> None:
    page.goto(f"{address}/lab/tree/notebooks/{name}.ipynb?token={TOKEN}&reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    idle(page)
    page.locator("#jp-MainMenu li", has_text="Run").first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_timeout(1500)
    idle(page)


def idle(page, seconds: int = 240) -> None:
    page.wait_for_selector(
        '.jp-Notebook-ExecutionIndicator[data-status="idle"]',
        state="attached",
        timeout=1000 * seconds,
    )
    page.wait_for_function(
        "document.querySelector('#jp-main-statusbar').innerText.includes('| Idle')",
        timeout=1000 * seconds,
    )


def screenshots(page, name: str) -> None:
    folder = os.environ.get("TINYBERT_SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    pane = page.locator(".jp-WindowedPanel-outer").first
    height = pane.evaluate("e => e.scrollHeight")
    for number, top in enumerate(range(0, height, 850)):
        pane.evaluate("(e, top) => e.scrollTo(0, top)", top)
        page.wait_for_timeout(250)
        page.screenshot(path=Path(folder) / f"{name}_{number:02d}.png")


@pytest.mark.parametrize("name", [source.stem for source in sources()])
def test_a_notebook_runs_in_a_browser_and_its_widgets_move_their_pictures(browser, address, name):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    try:
        run_all_cells(page, address, name)
        screenshots(page, name)
        errors = page.locator(
            '[data-mime-type="application/vnd.jupyter.error"], '
            '[data-mime-type="application/vnd.jupyter.stderr"]'
        ).all_inner_texts()
        assert [
            text
            for text in errors
            if "not above chance" not in text and "ATTENTION, wrong order" not in text
        ] == []
        assert not page.get_by_text("Error displaying widget").count()
        for number in range(page.locator(".widget-slider").count()):
            move(page, number)
    finally:
        page.close()


def move(page, number: int) -> None:
    """Move a slider until the picture below it changes: not every depth has a mapping to draw.

    At its right end it is moved to the left.
    """
    slider = page.locator(".widget-slider").nth(number)
    output = slider.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-child')][1]")
    picture = output.locator("img").first
    before = picture.get_attribute("src")
    handle = slider.locator(".noUi-handle").first
    handle.focus()
    end = float(handle.get_attribute("aria-valuenow")) >= float(
        handle.get_attribute("aria-valuemax")
    )
    for _ in range(4):
        handle.press("ArrowLeft" if end else "ArrowRight")
        for _ in range(25):
            if picture.get_attribute("src") != before:
                return
            page.wait_for_timeout(100)
    raise AssertionError(f"slider {number} ({slider.inner_text()!r}) does not move its picture")
