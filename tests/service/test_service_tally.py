"""What clients had judged is counted, by the hour, and outlasts the service."""

import sqlite3
from contextlib import closing
from typing import Any

from lfvpipe.service.state.judged import Count, Hour

from .conftest import GREEN, RED, World, picture

NOW = 1_790_000_000.0


def ask(client: Any, colour: tuple[int, int, int]) -> None:
    asked = {"ProjectName": "p", "ModelVersion": "1", "ContentType": "image/png"}
    client.detect_anomalies(**asked, Body=picture(colour))


def test_images_are_counted_by_the_hour_and_kept_for_a_year(
    world: World, trained: Any, waits: Any
) -> None:
    del trained
    now = [NOW]
    client = world.client(clock=lambda: now[0])
    service = world.services[-1]
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    for later, colour in ((0, RED), (1, GREEN), (2, RED), (3600, GREEN)):
        now[0] = NOW + later
        ask(client, colour)
    first, second = Hour("p", 1, int(NOW // 3600)), Hour("p", 1, int(NOW // 3600) + 1)
    assert service.tally.since(0) == {
        first: Count(3, 2, 1, 0.1),
        second: Count(1, 0, 1, 0.1),
    }
    assert service.tally.since(second.hour) == {second: Count(1, 0, 1, 0.1)}
    now[0] += 401 * 86400
    ask(client, RED)
    service.close()
    world.services.remove(service)
    after = world.open(clock=lambda: now[0])
    assert [count for _, count in after.tally.since(0).items()] == [Count(1, 1)]


def test_a_state_that_refuses_costs_the_client_nothing_and_is_written_later(
    world: World, trained: Any, waits: Any
) -> None:
    del trained
    client = world.client()
    service = world.services[-1]
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    file = world.state_dir / "service.db"
    with closing(sqlite3.connect(file)) as state:
        state.execute("ALTER TABLE judged RENAME TO away")
        ask(client, RED)
        state.execute("ALTER TABLE away RENAME TO judged")
    ask(client, GREEN)
    assert [count for _, count in service.tally.since(0).items()] == [Count(2, 1, 1, 0.1)]


def test_a_service_within_its_caller_counts_nothing(world: World, trained: Any, waits: Any) -> None:
    del trained
    client = world.client(isolated=False)
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    waits.hosting(client)
    ask(client, RED)
    assert world.services[-1].tally.since(0) == {}
