"""What the first bytes of a download say it is."""

from lfvpipe.storage.errors import DownloadError

_PAGE = (b"<!doctype html", b"<html", b"<head", b"<!--")


def refuse_a_page(first: bytes, url: str, *, archive: bool) -> None:
    """Refuse a web page, and where an archive is expected any text.

    Raises:
        DownloadError: It is one of these.
    """
    text = first[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGE):
        raise DownloadError(
            url,
            "serves a web page (HTML), not the file",
            hint="It may be the page that leads to the download, or one that asks to log in: "
            "give the address of the file itself.",
        )
    # Archives hold other bytes: tar pads with NUL, and every compressed format begins with some.
    printable = bytes(range(32, 127)) + b"\t\r\n"
    if archive and text and not first[:512].translate(None, printable):
        beginning = " ".join(first[:80].decode("utf-8", "replace").split())
        raise DownloadError(
            url,
            f"serves a text, not an archive; it begins: “{beginning}”",
            hint="Give the address of a zip or tar archive.",
        )
