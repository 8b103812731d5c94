"""The pictures of the README and of the guide, taken from the running product: `make demo`, then `make screenshots`.

Only the web server runs, no daemon, so that taking pictures starts no run and changes no table.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURES = REPOSITORY / "docs" / "pictures"
LENS = "educational_value"
WIDTH, HEIGHT = 1600, 1000
NAVIGATION = 240  # pixels of the navigation bar at the left; pictures begin to its right
GRAPH_WIDTH, GRAPH_HEIGHT = 2600, 1600  # so large that every asset's name is drawn
UPKEEP = ("automation", "housekeeping")  # groups without a line to the others
FLOW = " and ".join(f'not group:"{group}"' for group in UPKEEP)
GRAPH_LEFT = 560  # pixels: left of it are the navigation and the list of assets
MARGIN = 70  # pixels around the names of assets and groups: the boxes that they stand in
READY_WITHIN_S = 120
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@contextmanager
def web_server() -> Iterator[str]:
    """The project's web server on a free port; yields its URL. Raises RuntimeError where it does not come up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("dagster-webserver")), "--host", "127.0.0.1", "--port", str(port)]
    environment = {"DAGSTER_DISABLE_TELEMETRY": "1"} | os.environ
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dagster-webserver does not answer at {url}: {error}") from error
            time.sleep(0.5)


def shoot(page: Any, name: str, clip: dict[str, float]) -> None:
    """One picture of a part of the page as it is."""
    page.mouse.move(WIDTH - 2, HEIGHT - 2)  # no hover effects
    page.wait_for_timeout(1000)
    picture = Image.open(BytesIO(page.screenshot(clip=clip)))
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(PICTURES / f"{name}.png", optimize=True)


def take_graph(page: Any, url: str) -> None:
    """The whole graph, all groups expanded: what lies around the names of all assets and groups."""
    page.set_viewport_size({"width": GRAPH_WIDTH, "height": GRAPH_HEIGHT})
    page.goto(f"{url}/asset-groups?asset-selection={quote(FLOW)}")
    page.get_by_text("corpus", exact=True).first.wait_for()
    page.wait_for_timeout(3000)
    page.keyboard.press("Alt+KeyE")  # expand all groups
    page.get_by_text("eval_report", exact=True).first.wait_for()
    page.wait_for_timeout(5000)
    shoot(page, "asset-graph", _around(_names_in_graph(page)))
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def _names_in_graph(page: Any) -> list[dict[str, float]]:
    """Where in the graph, right of the sidebar, the names of its assets and groups are drawn."""
    from datashop_assets.definitions import defs

    specs = [spec for spec in defs.resolve_all_asset_specs() if spec.group_name not in UPKEEP]
    names = {spec.key.to_user_string() for spec in specs} | {str(spec.group_name) for spec in specs}
    found = [place.bounding_box() for name in names for place in page.get_by_text(name, exact=True).all()]
    return [box for box in found if box and box["x"] > GRAPH_LEFT]


def _around(boxes: list[dict[str, float]]) -> dict[str, float]:
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes)
    return {
        "x": left - MARGIN,
        "y": top - MARGIN,
        "width": right - left + 2 * MARGIN,
        "height": bottom - top + 2 * MARGIN,
    }


def take_partition(page: Any, url: str, asset: str, partition: str, name: str, height: int = HEIGHT) -> None:
    """The page of one partition of an asset, with its metadata, down to `height`."""
    page.goto(f"{url}/assets/{asset}?view=partitions&partition={partition.replace('|', '%7C')}")
    page.get_by_text("skipped", exact=True).first.wait_for()
    page.wait_for_timeout(3000)
    shoot(page, name, {"x": NAVIGATION, "y": 0, "width": WIDTH - NAVIGATION, "height": height})


def take_plot(page: Any, key: str, name: str) -> None:
    """The plot behind a metadata entry of the page that is open."""
    entry = page.get_by_role("row").filter(has=page.get_by_text(key, exact=True))
    entry.get_by_text("[Show Markdown]", exact=True).click()
    dialog = page.get_by_role("dialog").filter(has=page.get_by_role("img"))
    dialog.wait_for()
    page.wait_for_timeout(1500)
    shoot(page, name, dialog.bounding_box())
    page.get_by_text("Close", exact=True).click()
    dialog.wait_for(state="hidden")  # it fades


def take_dialog(page: Any, url: str, path: str, name: str, *, choose: Sequence[Sequence[str]] = ()) -> None:
    """What the button of an asset's page opens, with partitions chosen in its lists; nothing is launched."""
    page.goto(f"{url}/{path}")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs").first
    for partitions in choose:
        dialog.get_by_text("Select a partition or create one").first.click()
        for partition in partitions:
            page.get_by_role("menuitem").filter(has_text=partition).first.click()
        dialog.get_by_text("Launch runs to materialize").click()  # closes the list
    page.wait_for_timeout(1500)  # it comes in slowly
    shoot(page, name, dialog.bounding_box())
    page.keyboard.press("Escape")


def take_page(page: Any, url: str, path: str, seen: str, name: str, height: int = HEIGHT) -> None:
    """A page right of the navigation, down to `height`, once it shows the text `seen`."""
    page.goto(f"{url}/{path}")
    page.get_by_text(seen, exact=True).filter(visible=True).first.wait_for()
    page.wait_for_timeout(3000)
    shoot(page, name, {"x": NAVIGATION, "y": 0, "width": WIDTH - NAVIGATION, "height": height})


def take_guide(page: Any, url: str) -> None:
    """The pictures of `guide.md`."""
    take_dialog(page, url, f"assets/cutoff?view=partitions&partition={LENS}", "guide-materialize")
    page.set_viewport_size({"width": WIDTH, "height": 1300})
    take_partition(page, url, "cutoff", LENS, "guide-cutoff", height=1220)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    take_plot(page, "scores", "guide-scores")
    take_plot(page, "funnel", "guide-funnel")
    grid = [[LENS], ["demo-00001", "demo-00002", "demo-00003"]]
    take_dialog(page, url, "assets/filtered_documents?view=partitions", "guide-backfill", choose=grid)
    take_page(page, url, "automation", "reconcile_sensor", "guide-automation", height=520)
    page.goto(f"{url}/assets/rollout_plan?view=overview")
    take_plot(page, "how far each lens is", "guide-rollout")
    check = "assets/classifier?view=checks&checkDetail=beats_the_mean_predictor"
    take_page(page, url, check, "Latest execution", "guide-check", height=700)
    take_dialog(page, url, f"assets/promotion?view=partitions&partition={LENS}", "guide-promotion")


def take(page: Any, url: str) -> None:
    """All pictures, one after the other."""
    take_guide(page, url)
    take_graph(page, url)
    take_partition(page, url, "scores", f"{LENS}|demo-00000", "partitions", height=700)
    take_partition(page, url, "curated_annotations", LENS, "curation")
    take_partition(page, url, "selection_comparison", LENS, "selection")
    take_plot(page, "score and diversity", "score-and-diversity")
    take_partition(page, url, "classifier", LENS, "classifier")
    take_plot(page, "confusion matrix", "confusion-matrix")
    take_partition(page, url, "eval_report", LENS, "eval-report")
    take_plot(page, "differences", "differences")


def main() -> int:
    """Take them. Returns 1 where no browser is found."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("no Chromium found; install the package `chromium`")  # noqa: T201
        return 1
    PICTURES.mkdir(exist_ok=True)
    with web_server() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        # A fresh instance asks once whether one wants news of the community.
        page.add_locator_handler(page.get_by_text("Skip", exact=True), lambda skip: skip.click())
        take(page, url)
        browser.close()
    for picture in sorted(PICTURES.glob("*.png")):
        print(f"{picture.relative_to(REPOSITORY)}: {picture.stat().st_size / 1000:.0f} kB")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
