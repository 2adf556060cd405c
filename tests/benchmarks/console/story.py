"""The retired tutorial in a browser, from an empty server to a better model, without a shell.

    python tests/benchmarks/console/story.py FOLDER/aliens.zip FOLDER/aliens_def.zip

20 good and 5 defective photographs are brought to train, 15 and 10 to test; a model judges 20 new
ones, a person says which verdicts are right, they join the training images, and a second version
is trained. Both judge the photographs that are left, which neither has learnt from. Pages are
kept as pictures beside the state, in a passing folder that is named at the end.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from playwright.sync_api import Page

PROJECT = "product"
# How many good and defective photographs go where; the rest is left for both versions.
PARTS = {"train": (20, 5), "test": (15, 10), "new": (10, 10)}
TRAINING = 15 * 60 * 1000  # milliseconds that one may take
BAD = "bad-"  # what the name of a defective photograph begins with, where no folder says it


@dataclass
class Story:
    """A browser that is signed in.

    Attributes:
        page: Its page.
        home: The address of the region's pages.
        folder: Where pictures are kept.
    """

    page: Page
    home: str
    folder: Path

    def open(self, *parts: str) -> None:
        """Open a page of the project."""
        self.page.goto("/".join([self.home, "projects", PROJECT, *parts]))

    def keep(self, name: str) -> None:
        """Keep a picture of the page."""
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)

    def create(self) -> None:
        """Create the project."""
        self.page.goto(f"{self.home}/projects")
        self.page.get_by_label("Name").fill(PROJECT)
        self.page.get_by_role("button", name="Create").click()
        self.page.wait_for_url(f"**/{PROJECT}")

    def bring(self, kind: str, folder: Path, count: int) -> None:
        """Bring a folder of photographs into a data set; its folders say what they are."""
        self.open("datasets", kind)
        self.page.locator("#upload-folder").set_input_files(folder)
        expect(self.page.locator("#shown")).to_contain_text(f"{count} images")
        self.keep(f"dataset-{kind}")

    def train(self, version: int) -> float:
        """Train a version; return the seconds that it took."""
        self.open("models")
        began = time.perf_counter()
        self.page.get_by_role("button", name="Train", exact=True).click()
        self.open("models", str(version))
        expect(self.page.locator(".state").first).to_have_text("trained", timeout=TRAINING)
        seconds = time.perf_counter() - began
        self.keep(f"model-{version}")
        return seconds

    def judge(self, name: str, version: int, photographs: Sequence[Path]) -> Mapping[str, bool]:
        """Let a version judge photographs; return by name whether it called them anomalous."""
        self.open("trials")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Model").first.select_option(str(version))
        self.page.get_by_role("button", name="Begin").click()
        self.page.get_by_label("Images", exact=True).set_input_files(list(photographs))
        tiles = self.page.locator("#tiles .tile")
        expect(tiles.filter(has_text=re.compile("Normal|Anomalous"))).to_have_count(
            len(photographs)
        )
        self.keep(name)
        texts = {tile.locator(".name").inner_text(): tile.inner_text() for tile in tiles.all()}
        return {each: "Anomalous" in text for each, text in texts.items()}

    def verify(self, said: Mapping[str, bool]) -> None:
        """Say which verdicts are right, and give all to the training images."""
        for right in (True, False):
            names = {each for each, bad in said.items() if (bad == each.startswith(BAD)) == right}
            if not names:
                continue
            for tile in self.page.locator("#tiles .tile").all():
                chosen = tile.locator(".name").inner_text() in names
                tile.locator("input[type=checkbox]").set_checked(chosen)
            said_now = "correct" if right else "incorrect"
            self.page.get_by_role("button", name=re.compile(f"^{said_now}", re.IGNORECASE)).click()
            done = re.compile(f"^{len(names)} verdicts? (is|are) verified as {said_now}")
            expect(self.page.locator("#verified-said")).to_have_text(done)
        self.page.get_by_label(re.compile("All that are shown")).check()
        self.page.get_by_role("button", name="Add to the training data set").click()
        expect(self.page.get_by_text(f"{len(said)} images are added")).to_be_visible()
        self.keep("verified")


def main() -> None:
    """Print what each version got wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("good", type=Path)
    parser.add_argument("defective", type=Path)
    parser.add_argument("--seed", type=int, default=3)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lfvpipe-story-"))
    places = _deal(asked.good, asked.defective, folder / "photographs", asked.seed)
    words = [sys.executable, "-m", "lfvpipe", "console", "--no-browser"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address is not None
        try:
            _tell(address[0], places, folder)
        finally:
            server.terminate()
    print(f"pictures: {folder}")


def _tell(address: str, places: Mapping[str, Path], folder: Path) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    expect.set_options(timeout=120_000)
    with sync_playwright() as player:
        page = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.goto(address)
        page.wait_for_url("**/projects")
        story = Story(page, page.url.rpartition("/")[0], folder)
        story.create()
        for kind in ("train", "test"):
            story.bring(kind, places[kind], sum(PARTS[kind]))
        left = sorted(places["left"].iterdir())
        for version in (1, 2):
            seconds = story.train(version)
            wrong = _wrong(story.judge(f"left-{version}", version, left))
            print(f"version {version}: {wrong} of {len(left)} wrong, trained in {seconds:.0f} s")
            if version == 1:
                said = story.judge("new", 1, sorted(places["new"].iterdir()))
                print(f"new: {_wrong(said)} of {len(said)} wrong, verified and added")
                story.verify(said)


def _wrong(said: Mapping[str, bool]) -> int:
    return sum(bad != name.startswith(BAD) for name, bad in said.items())


def _deal(good: Path, defective: Path, folder: Path, seed: int) -> Mapping[str, Path]:
    """Deal photographs at random; return the folders by part."""
    rng = random.Random(seed)
    for label, archive in enumerate((good, defective)):
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.lower().endswith((".png", ".jpg"))]
            rng.shuffle(names)
            for part, counts in {**PARTS, "left": (len(names), len(names))}.items():
                by_folder = part in ("train", "test")
                place = folder / part / (("normal", "anomaly")[label] if by_folder else "")
                place.mkdir(parents=True, exist_ok=True)
                prefix = ("good-", BAD)[label]
                for name in names[: counts[label]]:
                    (place / f"{prefix}{Path(name).name}").write_bytes(opened.read(name))
                names = names[counts[label] :]
    return {part: folder / part for part in (*PARTS, "left")}


if __name__ == "__main__":
    main()
