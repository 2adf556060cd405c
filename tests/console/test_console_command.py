"""`lfvpipe console` as a process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from pathlib import Path


def test_it_tells_an_address_that_is_good_once_and_ends_with_an_interrupt(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lfvpipe", "console", "--no-browser"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None
        with httpx.Client(timeout=30) as browser:
            assert browser.get(address[0]).status_code == 200
            home = address[0].partition("/console")[0] + "/console/us-east-1/projects"
            assert "this machine (admin)" in browser.get(home).text
            assert browser.get(address[0]).status_code == 403
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not (tmp_path / ".lfvpipe" / "console.html").exists()


def test_a_serves_log_holds_no_entrance(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lfvpipe", "serve", "--port", "0"]
    words += ["--console-origin", "https://VISION.example:443"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert said[3].strip().startswith("console: http://127.0.0.1:")
    assert said[3].strip().endswith("/console")
    assert said[4].strip() == "console: https://vision.example/console"


def test_what_is_no_region_begins_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lfvpipe", "console", "--no-browser", "--region", "../x"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "'../x' is no region." in ended.stderr
    assert ended.returncode not in (0, 70)
    assert "Traceback" not in ended.stderr
