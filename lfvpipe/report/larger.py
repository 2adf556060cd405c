"""The pictures of the report page's larger view: as many as the page may hold, the first ones."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from lfvpipe.report.thumbnails import thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lfvpipe.report.records import Verdict
    from lfvpipe.report.thumbnails import Thumbnail

SIDE = 960  # pixels of the longer side
MOST = 12_000_000  # characters of a page: some 100 pictures of a textured surface
MOST_PICTURES = 26_000_000  # with thumbnails and overlays, so that the page stays under 30 MB


def larger(
    state_dir: Path,
    verdicts: Sequence[Verdict],
    shown: Sequence[Thumbnail | None],
    spent: int,
    on_done: Callable[[int, int, str], None],
) -> tuple[Mapping[int, Thumbnail], str]:
    """Return larger pictures by place in `verdicts`, and what is to be said of them.

    Args:
        state_dir: What the verdicts' paths are relative to.
        verdicts: Whose images to show: the wrong ones first, then the doubtful ones.
        shown: Their thumbnails; those that show their image whole need nothing larger.
        spent: Characters that other overlays take of the page.
        on_done: Told how many are done, of how many, and of what; what it raises ends the work.
    """
    places = [place for place, small in enumerate(shown) if small and small.reduced]
    spent += sum(len(small.uri) for small in shown if small)
    left = min(MOST, MOST_PICTURES - spent)
    wanted = [verdicts[place] for place in places]
    found: dict[int, Thumbnail] = {}
    made = thumbnails(
        state_dir, wanted, lambda done: on_done(done, len(wanted), "larger pictures"), SIDE
    )
    with closing(made):
        for place, picture in zip(places, made, strict=True):
            left -= len(picture.uri) if picture else 0
            if left < 0:
                break
            if picture:
                found[place] = picture
    return found, _note(len(found), len(places))


def _note(found: int, wanted: int) -> str:
    if found == wanted:
        return ""
    if not found:
        return "No picture is kept larger: there are too many images for that."
    return (
        f"Larger pictures for {found} of {wanted} images, the wrong and doubtful ones first. "
        "The others are enlarged from what is shown here."
    )
