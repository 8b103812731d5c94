"""A person in front of the UI: what they click, and what they wait to see."""

import re
import time
from collections.abc import Callable
from typing import Any

from datashop_assets_tests.slow.dagster_dev import Served

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A page of a busy machine; what a run brings may take longer.
PAGE_MS, RUN_MS = 60_000, 240_000


class Person:
    """Clicks through the pages of a running `dagster dev`."""

    def __init__(self, page: Any, served: Served) -> None:
        self.page = page
        self.url = served.url
        page.set_default_timeout(PAGE_MS)
        # A fresh instance asks once whether one wants news of the community.
        page.add_locator_handler(page.get_by_text("Skip", exact=True), lambda skip: skip.click())

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}/{path}")

    def open_partition(self, asset: str, partition: str) -> None:
        self.open(f"assets/{asset}?view=partitions&partition={partition.replace('|', '%7C')}")

    def see(self, *wanted: str, within_ms: int = PAGE_MS) -> None:
        """Wait until each text is visible somewhere on the page."""
        from playwright.sync_api import expect

        for text in wanted:
            expect(self.page.get_by_text(text, exact=True).filter(visible=True).first).to_be_visible(timeout=within_ms)

    def entry(self, name: str) -> Any:
        """The row of a metadata entry."""
        return self.page.locator(f"xpath=//tr[td[1][normalize-space(.)='{name}']]").first

    def read(self, name: str) -> str:
        """What a metadata entry says."""
        return str(self.entry(name).locator("td").nth(1).inner_text()).strip()

    def picture_width(self, name: str, alt: str) -> int:
        """Open the picture of a metadata entry and close it again; its width in pixels, 0 where it is not drawn."""
        self.entry(name).get_by_text("[Show Markdown]", exact=True).first.click()
        picture = self.page.get_by_role("img", name=alt)
        picture.wait_for()
        width = int(picture.evaluate("image => image.naturalWidth"))
        self.page.get_by_role("dialog").get_by_text("Close", exact=True).click()
        picture.wait_for(state="hidden")  # the dialog fades
        return width

    def materialize(self) -> Any:
        """Click the asset's button; the dialog that it opens."""
        self.page.get_by_role("button", name="Materialize").first.click()
        dialog = self.page.get_by_role("dialog").filter(has_text="Launch runs").first
        dialog.wait_for()
        return dialog

    def choose(self, dialog: Any, partitions: list[str]) -> None:
        """Tick partitions in the first list of the dialog that nothing is chosen in yet."""
        dialog.get_by_text("Select a partition or create one").first.click()
        for partition in partitions:
            self.page.get_by_role("menuitem").filter(has_text=partition).first.click()
        dialog.get_by_text("Launch runs to materialize").click()  # the dialog's title: closes the list

    def materializations(self, asset: str, partition: str) -> int:
        """How many materializations of the partition its page tells of, once there is one."""
        self.open_partition(asset, partition)
        shown = self.page.get_by_role("button", name=re.compile(r"View all historical events \([1-9]"))
        shown.wait_for()
        return int(shown.inner_text().split("(")[1].rstrip(")"))

    def wait_for_another(self, asset: str, partition: str, before: int) -> None:
        """Look at the partition's page again and again until one more materialization is there."""
        self._look_again(f"a run of {asset}", lambda: self.materializations(asset, partition) > before)

    def wait_for(self, path: str, *wanted: str) -> None:
        """Open a page again and again until it shows each text: not every page follows what happens."""

        def shows_all() -> bool:
            self.open(path)
            self.page.wait_for_timeout(2000)
            return all(self.page.get_by_text(text, exact=True).filter(visible=True).count() for text in wanted)

        self._look_again(f"{wanted} at {path}", shows_all)

    def _look_again(self, what: str, there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + RUN_MS / 1000
        while not there():
            assert time.monotonic() < deadline, f"no sign of {what} within {RUN_MS} ms"
            self.page.wait_for_timeout(2000)
