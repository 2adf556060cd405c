"""The review page's server side, over HTTP."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.mutations import MUTATIONS, mutate_json

Serve = Callable[..., Any]


def decide(desk: Any, n: int, label: str, who: str = "Ana", **more: Any) -> Any:
    body = {"n": n, "label": label, "who": who, **more}
    reply = httpx.post(f"{desk.address}api/decisions", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def get(desk: Any, path: str) -> Any:
    return httpx.get(f"{desk.address}{path}").json()


def mask_of(*boxes: tuple[int, int, int, int], colour: str = "#23A436", side: int = 64) -> str:
    canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    for box in boxes:
        canvas.paste(colour, box)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_the_page_and_its_parts_come_with_a_strict_policy(serve: Serve) -> None:
    desk = serve()
    for path in ("", "review.css", "review.js", "api/state", "pictures/image/0"):
        reply = httpx.get(f"{desk.address}{path}")
        assert reply.status_code == 200
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/review.js", "/wrong/", "/the-token2/", "/the-toke/"])
def test_without_the_token_there_is_nothing(serve: Serve, path: str) -> None:
    root = serve().address.removesuffix("/the-token/")
    assert httpx.get(f"{root}{path}").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_foreign_name_that_points_here_is_refused(serve: Serve, host: str) -> None:
    reply = httpx.get(serve().address, headers={"Host": host})
    assert reply.status_code in (400, 421)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_no_other_page_can_decide(serve: Serve, headers: dict[str, str], status: int) -> None:
    desk = serve()
    body = json.dumps({"n": 0, "label": "normal", "who": "Eve"})
    sent = {"Content-Type": "application/json", **headers}
    reply = httpx.post(f"{desk.address}api/decisions", content=body, headers=sent)
    assert reply.status_code == status
    assert not desk.labels.exists()


@pytest.mark.parametrize(
    "path",
    [
        "pictures/image/99",
        "pictures/image/-1",
        "pictures/image/..%2f..%2fetc%2fpasswd",
        "pictures/../../../etc/passwd/0",
        "pictures/secret/0",
        "..%2f..%2fpyproject.toml",
        "%2e%2e/app.py",
        "api/items/1e9",
        "pictures/mask/1",
    ],
)
def test_nothing_else_can_be_read(serve: Serve, path: str) -> None:
    assert httpx.get(f"{serve().address}{path}").status_code == 404


def test_a_decision_is_in_the_file_before_it_is_acknowledged(serve: Serve) -> None:
    desk = serve()
    reply = decide(desk, 0, "normal")
    (line,) = desk.decisions()
    assert line == {
        "name": "p/0.png",
        "label": "normal",
        "source": "anomaly",
        "sha256": "0" * 64,
        "who": "Ana",
        "when": line["when"],
        "was": "anomaly",
    }
    assert line["when"].endswith("Z")
    assert reply["item"]["decision"]["label"] == "normal"
    assert reply["state"]["decided"] == 1
    assert 0 not in get(desk, "api/queue?filter=todo")["items"]


@pytest.mark.parametrize(
    "body",
    [
        {"n": 99, "label": "normal", "who": "Ana"},
        {"n": "0", "label": "normal", "who": "Ana"},
        {"n": True, "label": "normal", "who": "Ana"},
        {"n": 0, "label": "good", "who": "Ana"},
        {"n": 0, "label": None, "who": "Ana"},
        {"n": 0, "label": "normal", "who": " "},
        {"n": 0, "label": "normal"},
        {"n": 0, "label": "anomaly", "who": "Ana", "mask": "no base 64!"},
        {"n": 0, "label": "anomaly", "who": "Ana", "mask": "AAAA"},
        {"n": 0, "label": "anomaly", "who": "Ana", "mask": mask_of(side=65)},
        [],
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(serve: Serve, body: Any) -> None:
    desk = serve()
    reply = httpx.post(f"{desk.address}api/decisions", json=body)
    assert 400 <= reply.status_code <= 500
    assert reply.json()["error"]
    assert not desk.labels.exists()


def test_undo_restores_what_was_said_before_and_keeps_the_history(serve: Serve) -> None:
    desk = serve()
    decide(desk, 2, "normal")
    decide(desk, 2, "exclude")
    assert httpx.post(f"{desk.address}api/undo", json={}).json()["n"] == 2
    assert get(desk, "api/items/2")["decision"]["label"] == "normal"
    httpx.post(f"{desk.address}api/undo", json={})
    assert get(desk, "api/items/2")["decision"] is None
    assert httpx.post(f"{desk.address}api/undo", json={}).json()["n"] is None
    assert [line["label"] for line in desk.decisions()] == ["normal", "exclude", "normal", None]


def test_two_people_who_differ_are_shown_and_the_later_one_counts(serve: Serve) -> None:
    desk = serve()
    decide(desk, 1, "normal", "Ana")
    decide(desk, 1, "anomaly", "Ben")
    item = get(desk, "api/items/1")
    assert item["conflict"]
    assert [(made["who"], made["label"]) for made in item["made"]] == [
        ("Ana", "normal"),
        ("Ben", "anomaly"),
    ]
    assert item["decision"]["label"] == "anomaly"
    assert get(desk, "api/queue?filter=conflicts")["items"] == [1]
    decide(desk, 1, "anomaly", "Ana")
    assert get(desk, "api/state")["conflicts"] == 0


def test_what_another_reviewer_saves_meanwhile_is_seen(serve: Serve) -> None:
    first, second = serve(), serve()
    decide(first, 0, "normal")
    assert get(second, "api/state")["decided"] == 1
    decide(second, 1, "exclude", "Ben")
    assert get(first, "api/items/1")["decision"]["label"] == "exclude"


def test_a_line_cut_short_by_a_kill_does_not_spoil_the_next(serve: Serve) -> None:
    desk = serve()
    decide(desk, 0, "normal")
    with desk.labels.open("a") as file:
        file.write('{"name": "p/1.png", "la')
    decide(desk, 2, "exclude")
    assert [line["name"] for line in desk.decisions()] == ["p/0.png", "p/2.png"]


def test_a_labels_file_that_cannot_be_written_is_said_and_nothing_is_claimed(
    serve: Serve,
) -> None:
    desk = serve()
    desk.labels.mkdir()
    body = {"n": 0, "label": "normal", "who": "Ana"}
    reply = httpx.post(f"{desk.address}api/decisions", json=body)
    assert reply.status_code == 500
    assert "reviewed.jsonl" in reply.json()["error"]


def test_a_painted_mask_is_saved_beside_the_file_in_the_nearest_colours(serve: Serve) -> None:
    desk = serve(masks=True)
    soft = mask_of((10, 10, 20, 20), colour="#30A040")
    decide(desk, 2, "anomaly", mask=soft)
    (line,) = desk.decisions()
    assert line["classes"] == {"scratch": "#23A436", "stain": "#D62728"}
    with Image.open(desk.labels.parent / line["mask"]) as mask:
        assert (mask.size, mask.mode) == ((64, 64), "RGB")
        assert mask.getpixel((15, 15)) == (0x23, 0xA4, 0x36)
        assert mask.getpixel((5, 5)) == (255, 255, 255)
    seen = httpx.get(f"{desk.address}pictures/mask/2")
    with Image.open(io.BytesIO(seen.content)) as overlay:
        assert overlay.getpixel((5, 5))[3] == 0  # type: ignore[index]  # RGBA
    decide(desk, 2, "anomaly", "Ben")
    assert desk.decisions()[-1]["mask"] == line["mask"]


def test_a_name_that_looks_like_a_path_stays_in_the_folder_of_masks(serve: Serve) -> None:
    desk = serve(masks=True)
    decide(desk, 0, "anomaly", mask=mask_of((1, 1, 9, 9)))
    (line,) = desk.decisions()
    assert line["mask"].startswith("reviewed-masks/p-0-")


def test_a_mask_path_that_leads_elsewhere_is_not_shown(serve: Serve) -> None:
    desk = serve(masks=True)
    secret = desk.labels.parent / "secret.png"
    Image.new("RGB", (64, 64), "red").save(secret)
    line = {"name": "p/1.png", "source": "normal", "label": "anomaly", "mask": "secret.png"}
    desk.labels.write_text(json.dumps(line) + "\n")
    assert httpx.get(f"{desk.address}pictures/mask/1").status_code == 404


def bomb(side: int) -> str:
    """Return a PNG of a few kilobytes that decodes to `side` squared pixels, one bit each."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        frame = kind + content
        return struct.pack(">I", len(content)) + frame + struct.pack(">I", zlib.crc32(frame))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    # packed by hand: Pillow would first have all the pixels, of a byte each
    pixels = chunk(b"IDAT", zlib.compress(bytes((1 + side // 8) * side)))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")).decode()


DECISION = {"n": 0, "label": "anomaly", "who": "Ana"}
HOSTILE: dict[str, bytes] = {
    "deep": b'{"n": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "half a pair": json.dumps({**DECISION, "who": "\ud800"}).encode(),
    "half a pair in a key": json.dumps({**DECISION, "\udfff": 1}).encode(),
    "no UTF-8": b'{"n": "\xff"}',
    "a number of many digits": b'{"n": ' + b"9" * 10_000 + b"}",
    "no number": b'{"n": NaN, "label": "normal", "who": "Ana"}',
    "a mask that is no ASCII": json.dumps({**DECISION, "mask": "é"}).encode(),
    "a mask that is a list": json.dumps({**DECISION, "mask": [1]}).encode(),
    "a bomb": json.dumps({**DECISION, "mask": bomb(8000)}).encode(),
    "a bomb of another size": json.dumps({**DECISION, "mask": bomb(20_000)}).encode(),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_decision_is_the_clients_fault(
    serve: Serve, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    desk = serve()
    sent = {"Content-Type": "application/json"}
    reply = httpx.post(f"{desk.address}api/decisions", content=body, headers=sent)
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]
    assert not desk.labels.exists()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("path", [f"api/items/{'9' * 5000}", f"pictures/image/{'9' * 5000}"])
def test_a_number_of_thousands_of_digits_is_no_image(serve: Serve, path: str) -> None:
    assert httpx.get(f"{serve().address}{path}").status_code == 404


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://127.0.0.1:x", "\xff"])
def test_an_origin_that_is_no_address_is_another_page(serve: Serve, origin: str) -> None:
    sent = {b"Content-Type": b"application/json", b"Origin": origin.encode("latin-1")}
    reply = httpx.post(f"{serve().address}api/undo", content=b"{}", headers=sent)
    assert reply.status_code == 403


def test_decisions_of_any_shape_are_answered(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    desk = serve(masks=True)
    sent = {"Content-Type": "application/json"}
    with httpx.Client() as client:
        for changed in mutate_json({**DECISION, "mask": mask_of()}, MUTATIONS // 5):
            body = json.dumps(changed).encode()
            reply = client.post(f"{desk.address}api/decisions", content=body, headers=sent)
            assert reply.status_code in (200, 400, 404), body
    assert "Traceback" not in capfd.readouterr().err
