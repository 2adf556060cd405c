"""What the first bytes of a download say it is."""

from lfvpipe.storage.download.http import DownloadError

_PAGE = (b"<!doctype html", b"<html", b"<head", b"<!--")


def refuse_a_page(first: bytes, address: str, *, archive: bool) -> None:
    """Refuse a web page, and where an archive is expected any text.

    Raises:
        DownloadError: It is one of these.
    """
    text = first[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGE):
        raise DownloadError(
            f"{address} serves a web page (HTML), not the file.",
            hint="It may be the page that leads to the download, or one that asks to log in: "
            "give the address of the file itself.",
        )
    if archive and text and _is_text(first[:512]):
        beginning = " ".join(first[:80].decode("utf-8", "replace").split())
        raise DownloadError(
            f"{address} serves a text, not an archive; it begins: “{beginning}”.",
            hint="Give the address of a zip or tar archive.",
        )


def _is_text(data: bytes) -> bool:
    # tar pads with NUL, and every compressed format begins with bytes that no text holds
    printable = bytes(range(32, 127)) + b"\t\r\n"
    return not data.translate(None, printable)
