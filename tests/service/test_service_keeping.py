"""A service that was told to keeps what clients ask about; one that was not keeps nothing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from lfvpipe.dataset.kept import Bounds, store_of
from lfvpipe.service import VerdictKeeper
from tests.service.conftest import RED, picture
from tests.service.test_service_hosting import detect, hosted

if TYPE_CHECKING:
    import pytest

__all__ = ["hosted"]


def images(count: int) -> list[bytes]:
    return [picture((200, number, 0)) for number in range(count)]


def test_the_last_images_that_clients_ask_about_are_kept_for_its_user_alone(
    hosted: Any, world: Any
) -> None:
    state = world.root / "state"
    client = world.client(keeper=VerdictKeeper(state, 3))
    asked = images(5)
    for each in [*asked, asked[3]]:
        detect(client, each)
    store = store_of(state, "us-east-1", "p", Bounds(3))
    found = store.read()
    assert [store.image(each).read_bytes() for each in found] == [asked[2], asked[4], asked[3]]
    assert {(each.is_anomalous, each.confidence, each.model) for each in found} == {
        (True, 0.9, "1")
    }
    assert all(each.name.startswith(f"image {each.sha256[:12]} of 20") for each in found)
    if os.name != "nt":
        for path in [state / "kept", *(state / "kept").rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_disk_that_refuses_costs_the_client_nothing(
    hosted: Any, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.root / "file").write_text("")
    client = world.client(keeper=VerdictKeeper(world.root / "file", 3))
    assert detect(client, picture(RED))["IsAnomalous"] is True
    # Where it is logged to, whoever configured logging in this process has said.
    assert "a verdict is not kept" in "".join(capsys.readouterr())
