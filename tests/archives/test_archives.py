import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfvpipe.archives import ArchiveError, Limits, open_archive

FILES = {"Class3/1.png": b"one", "Class3/deep/2.png": b"second" * 100, "readme.txt": b"text"}
JUNK = {
    "labels.txt": b"1 2 3",
    "Class3/.DS_Store": b"x",
    "__MACOSX/Class3/._1.png": b"x",
    "Class3/Thumbs.db": b"x",
    ".hidden/1.png": b"x",
}


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tar_bytes(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def packed(pack: Callable[[bytes], bytes]) -> Callable[[Path, Mapping[str, bytes]], Path]:
    def write(path: Path, files: Mapping[str, bytes]) -> Path:
        path.write_bytes(pack(tar_bytes(files)))
        return path

    return write


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


Writer = Callable[[Path, Mapping[str, bytes]], Path]
PACKED: dict[str, Writer] = {
    "zip": write_zip,
    "tar": packed(bytes),
    "tar.gz": packed(gzip.compress),
    "tar.bz2": packed(bz2.compress),
    "tar.xz": packed(lzma.compress),
}
ALL = {**PACKED, "folder": write_folder}


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(ArchiveError) as caught:
        read_all(path, limits)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value.message


def read_all(path: Path, limits: Limits | None) -> None:
    with open_archive(path, limits=limits) as archive:
        for member in archive.members():
            archive.read(member.name, 1 << 20)


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_lists_and_reads_the_same_whatever_its_name(kind: str, tmp_path: Path) -> None:
    path = ALL[kind](tmp_path / "archive.bin", {**FILES, **JUNK})
    with open_archive(path) as archive:
        members = {member.name: member.size for member in archive.members()}
        assert members == {name: len(data) for name, data in FILES.items()}
        assert sum(archive.skipped.values()) == len(JUNK)
        assert archive.read("Class3/1.png", 100) == b"one"
        wanted = {"readme.txt", "Class3/deep/2.png", "gone.png"}
        found = dict(archive.extract(wanted, 1000))
        assert found.keys() == wanted
        assert found["Class3/deep/2.png"] == b"second" * 100
        assert isinstance(found["gone.png"], ArchiveError)


@pytest.mark.parametrize("kind", ALL)
def test_a_member_over_the_limit_is_an_error_and_the_others_still_come(
    kind: str, tmp_path: Path
) -> None:
    with open_archive(ALL[kind](tmp_path / "a", FILES)) as archive:
        found = dict(archive.extract(FILES, 10))
    assert found["Class3/1.png"] == b"one"
    assert "more than 10 bytes" in str(found["Class3/deep/2.png"])


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../evil.png", "leads out"),
        ("a/../../evil.png", "leads out"),
        ("/etc/evil.png", "absolute"),
        ("C:/evil.png", "drive letter"),
        ("a\\evil.png", "backslashes"),
        ("a\nb.png", "control characters"),
        ("a/" * 40 + "b.png", "folders deep"),
        ("a" * 1001 + ".png", "characters"),
        ("../.DS_Store", "leads out"),
    ],
)
def test_unsafe_names_are_refused(kind: str, name: str, fault: str, tmp_path: Path) -> None:
    assert fault in refusal(PACKED[kind](tmp_path / "a", {"good/ok.png": b"1", name: b"x"}))


def test_a_name_in_a_folder_that_cannot_be_used_is_to_be_changed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b\n.png").write_bytes(b"x")
    with pytest.raises(ArchiveError) as caught:
        read_all(tmp_path / "a", None)
    assert "has control characters" in caught.value.message
    assert caught.value.hint.startswith("The folder was not used. Rename the file or folder")


def tar_written_in(path: Path, encoding: str, names: list[str]) -> Path:
    """Write a tar as tools of such systems do, with a link to the first."""
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT, encoding=encoding) as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, names[0]
        tar.addfile(link)
    return path


@pytest.mark.parametrize(
    ("encoding", "names", "guess"),
    [
        ("latin-1", ["Geh\u00e4use/Gr\u00f6\u00dfe.png", "b.png"], "cp1252"),
        ("gbk", ["\u6b63\u5e38\u6837\u54c1/1.png", "\u5212\u75d5/2.png"], "gbk"),
        ("utf-8", ["Gr\u00f6\u00dfe.png"], ""),
    ],
)
def test_names_in_a_tar_are_told_as_those_in_a_zip(
    encoding: str, names: list[str], guess: str, tmp_path: Path
) -> None:
    path = tar_written_in(tmp_path / "a.tgz", encoding, names)
    with open_archive(path) as archive:
        assert {member.name for member in archive.members()} == {*names, "link.png"}
        assert archive.guessed_encoding == guess
        assert dict(archive.extract([*names, "link.png"], 10)).keys() == {*names, "link.png"}
    with open_archive(path) as anew:
        assert anew.read(names[0], 10) == b""
    if guess:
        with open_archive(path, encoding=encoding) as declared:
            assert {member.name for member in declared.members()} == {*names, "link.png"}
            assert not declared.guessed_encoding


@pytest.mark.parametrize(
    ("encoding", "name", "guess"),
    [
        ("gbk", "\u4e0d\u826f\u54c1", "gbk, though big5 or cp949 would fit as well"),
        ("gbk", "\u7f3a\u9677\u56fe\u7247", "gbk"),
        ("cp932", "\u50b7\u3042\u308a", "cp932"),
        ("cp949", "\ubd88\ub7c9", "cp949, though gbk or big5 would fit as well"),
        ("cp866", "\u0413\u043e\u0434\u0435\u043d", "cp866"),
    ],
)
def test_of_encodings_that_fit_all_are_told(
    encoding: str, name: str, guess: str, tmp_path: Path
) -> None:
    path = write_unmarked(tmp_path / "a.zip", f"{name}{{:03}}.png", encoding)
    with open_archive(path) as archive:
        assert f"{name}000.png" in {member.name for member in archive.members()}
        assert archive.guessed_encoding == guess


def test_a_name_in_a_folder_that_is_not_utf_8_is_refused_with_what_can_be_read(
    tmp_path: Path,
) -> None:
    name = os.fsdecode(b"Ger\xe4t.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / name).write_bytes(b"")
    assert "'Ger?t.png' has a name that is not UTF-8" in refusal(tmp_path / "photos")


def test_a_nul_byte_in_a_zip_name_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"evil.png?.txt": b"x"})
    path.write_bytes(path.read_bytes().replace(b"evil.png?", b"evil.png\0"))
    assert "NUL" in refusal(path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_duplicate_members_are_refused(kind: str, tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "é.png")
    names = {composed: b"1", unicodedata.normalize("NFD", composed): b"2"}
    assert "twice" in refusal(PACKED[kind](tmp_path / "a", names))


def link_in_zip(archive: zipfile.ZipFile, name: str, target: str) -> None:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, target)


def link_in_tar(archive: tarfile.TarFile, name: str, target: str, kind: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    archive.addfile(info)


def write_links(path: Path, links: Mapping[str, str]) -> Path:
    """Write the images a/1.png and 2.png, and links, half of them before what they lead to."""
    files = {"a/1.png": b"one", "2.png": b"two"}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, target in links.items():
                link_in_zip(archive, name, target)
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w") as tar:
        for name, target in links.items():
            link_in_tar(tar, name, target, tarfile.SYMTYPE)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link_in_tar(tar, "b/hard.png", "a/1.png", tarfile.LNKTYPE)
    return path


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_links_inside_an_archive_are_what_they_lead_to_and_others_are_counted(
    kind: str, tmp_path: Path
) -> None:
    links = {
        "a/same.png": "1.png",
        "b/up.png": "../2.png",
        "chain.png": "b/up.png",
        "out.png": "../../etc/passwd",
        "absolute.png": "/etc/passwd",
        "circle.png": "circle.png",
        "gone.png": "3.png",
    }
    with open_archive(write_links(tmp_path / f"a.{kind}", links)) as archive:
        members = {member.name: member for member in archive.members()}
        assert archive.skipped["link out of the archive"] == 4
        expected = {"a/1.png": b"one", "2.png": b"two", "a/same.png": b"one", "b/up.png": b"two"}
        expected |= {"chain.png": b"two"} | ({"b/hard.png": b"one"} if kind == "tar" else {})
        assert members.keys() == expected.keys()
        assert members["a/same.png"].stamp == members["a/1.png"].stamp
        assert dict(archive.extract(members, 100)) == expected
        assert archive.read("chain.png", 100) == b"two"
        (gone,) = archive.extract({"out.png"}, 100)
        assert isinstance(gone[1], ArchiveError)


def test_devices_in_a_tar_are_counted(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link_in_tar(archive, "tty.png", "", tarfile.CHRTYPE)
    with open_archive(tmp_path / "a.tar") as opened:
        assert list(opened.members()) == []
        assert opened.skipped == {"device or special file": 1}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_folder_holds_what_its_links_lead_to(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", {"1.png": b"one"})
    far = write_folder(tmp_path / "far", {"deep/3.png": b"three"})
    (folder / "2.png").symlink_to(folder / "1.png")
    (folder / "more").symlink_to(far)
    (folder / "loop").symlink_to(folder)
    (folder / "broken.png").symlink_to(tmp_path / "gone.png")
    with open_archive(folder) as archive:
        names = [member.name for member in archive.members()]
        assert names == ["1.png", "2.png", "more/deep/3.png"]
        assert archive.read("more/deep/3.png", 9) == b"three"
        assert archive.skipped == {
            "linked folder that holds itself": 1,
            "link that leads nowhere": 1,
        }


class Unmarked(zipfile.ZipInfo):
    """A member whose name is written in some code page, without a word about which."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw.hex())
        self.raw = raw

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802  (zipfile's own)
        return self.raw, self.flag_bits & ~0x800


def write_unmarked(path: Path, pattern: str, encoding: str, extra: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20):
            info = Unmarked(pattern.format(number).encode(encoding))
            info.extra = extra
            archive.writestr(info, b"%d" % number)
    return path


@pytest.mark.parametrize(
    ("pattern", "encoding", "is_guess"),
    [
        ("表面{:03}.png", "cp932", True),  # its second byte is a backslash
        ("正常/キズ{:03}.png", "cp932", True),
        ("正常样品{:03}.png", "gbk", True),
        ("정상{:03}.png", "cp949", True),
        ("Gehäuse{:03}.png", "cp437", False),
        ("Größe{:03}.png", "cp1252", True),
        ("Größe{:03}.png", "utf-8", False),
    ],
)
def test_names_in_an_encoding_that_nothing_tells_are_read_and_a_guess_is_said(
    pattern: str, encoding: str, is_guess: bool, tmp_path: Path
) -> None:
    path = write_unmarked(tmp_path / "a.zip", pattern, encoding)
    with open_archive(path) as archive:
        names = {member.name for member in archive.members()}
        assert names == {pattern.format(number) for number in range(20)}
        assert bool(archive.guessed_encoding) == is_guess


def test_a_declared_encoding_is_not_guessed_at(tmp_path: Path) -> None:
    path = write_unmarked(tmp_path / "a.zip", "划痕{:03}.png", "gbk")
    with open_archive(path, encoding="gbk") as archive:
        assert min(archive.members(), key=lambda member: member.name).name == "划痕000.png"
        assert not archive.guessed_encoding


def test_a_name_in_the_unicode_field_counts_if_it_is_about_the_other_name(tmp_path: Path) -> None:
    raw = "表面.png".encode("cp932")
    body = b"\1" + struct.pack("<I", zlib.crc32(raw)) + "表面.png".encode()
    field = struct.pack("<HH", 0x7075, len(body)) + body
    stale = struct.pack("<HH", 0x7075, len(body)) + b"\1" + bytes(4) + body[5:]
    for extra, name in ((field, "表面.png"), (stale, "x")):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            info = Unmarked(raw if extra is field else b"x")
            info.extra = extra
            archive.writestr(info, b"1")
        with open_archive(tmp_path / "a.zip") as opened:
            assert [member.name for member in opened.members()] == [name]


def test_backslashes_are_separators_where_they_can_be_nothing_else(tmp_path: Path) -> None:
    path = write_unmarked(tmp_path / "a.zip", "good\\{:03}.png", "ascii")
    with open_archive(path) as archive:
        assert next(archive.members()).name == "good/000.png"


def test_encrypted_zips_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"1.png": b"one"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refusal(path)


@pytest.mark.parametrize("kind", PACKED)
def test_truncated_archives_are_refused(kind: str, tmp_path: Path) -> None:
    noise = {f"{n}.png": os.urandom(2000) for n in range(5)}
    path = PACKED[kind](tmp_path / "a", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "truncated or damaged" in refusal(path)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.png", b"content")
    path.write_bytes(path.read_bytes().replace(b"content", b"CONTENT"))
    assert "'1.png' is damaged" in refusal(path)


def test_a_member_that_unpacks_to_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"1.png": b"x" * 5000})
    lie = path.read_bytes().replace(struct.pack("<L", 5000), struct.pack("<L", 10))
    path.write_bytes(lie)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_cannot_be_unpacked_within_a_bound_are_refused(
    method: int, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("1.png", b"x" * 100)
    assert "not by Deflate" in refusal(tmp_path / "a.zip")


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"1.png": b"x" * 100, "2.png": b"y" * 100})
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = bytes(4)  # its local header is said to be the first's
    path.write_bytes(data)
    assert "overlaps" in refusal(path)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bombs_are_refused_by_count_total_and_ratio(kind: str, tmp_path: Path) -> None:
    path = PACKED[kind](tmp_path / "a", {f"{n}.png": b"\0" * 100_000 for n in range(10)})
    assert "entries" in refusal(path, Limits(members=9))
    assert "bytes when unpacked" in refusal(path, Limits(total=500_000))
    assert "times its own size" in refusal(path, Limits(ratio_floor=500_000))


def tar_block(kind: bytes, content: bytes) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, len(content)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def pax_record(key: str, value: str) -> bytes:
    digits = next(d for d in range(1, 9) if len(str(d + len(key) + len(value) + 3)) == d)
    return f"{digits + len(key) + len(value) + 3} {key}={value}\n".encode()


SPARSE_MAP = pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0")


@pytest.mark.parametrize(
    "headers",
    [
        tar_block(tarfile.GNUTYPE_LONGNAME, b"a" * 1_100_000),
        tar_block(tarfile.XHDTYPE, pax_record("comment", "a" * 1_100_000)),
        tar_block(tarfile.GNUTYPE_LONGNAME, b"name\0") * 3000,
        tar_block(tarfile.XHDTYPE, SPARSE_MAP)
        + tar_block(tarfile.REGTYPE, b"999999\n" + b"0\n" * 999_999),
    ],
    ids=["long name", "long attribute", "chain", "sparse map"],
)
def test_headers_that_would_fill_the_memory_are_refused(headers: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(headers + tar_bytes({"1.png": b"one"}))
    assert "too long or too many" in refusal(path)


def test_attributes_of_a_whole_tar_do_not_pile_up(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        for number in range(40):
            file.write(tar_block(tarfile.XGLTYPE, pax_record(f"comment{number}", "a" * 500_000)))
            file.write(tar_bytes({f"{number}.png": b"one"})[:1024])
        file.write(bytes(1024))
    tracemalloc.start()
    try:
        with open_archive(path) as archive:
            assert len(list(archive.members())) == 40
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n<!DOCTYPE html><html><body>Log in</body>", "web page"),
        (b"", "empty"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"\x89PNG\r\n\x1a\n", "PNG image"),
        (b"hello", "neither a zip nor a tar"),
        (gzip.compress(b"no tar", mtime=0), "truncated or damaged"),
    ],
)
def test_what_is_no_archive_is_called_by_its_name(
    content: bytes, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "Class3.zip"
    path.write_bytes(content)
    assert what in refusal(path)


def test_a_tar_from_before_its_mark_is_read(tmp_path: Path) -> None:
    data = bytearray(tar_bytes({"1.png": b"one"}))
    data[257:265] = bytes(8)
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    (tmp_path / "v7.tar").write_bytes(data)
    with open_archive(tmp_path / "v7.tar") as archive:
        assert [(one.name, archive.read(one.name, 9)) for one in archive.members()] == [
            ("1.png", b"one")
        ]
    data[148] ^= 1
    (tmp_path / "v7.tar").write_bytes(data)
    assert "neither a zip nor a tar" in refusal(tmp_path / "v7.tar")


def test_a_missing_archive_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.zip")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_stamps_change_with_the_content(kind: str, tmp_path: Path) -> None:
    stamps = set()
    for content in (b"one", b"two"):
        with open_archive(PACKED[kind](tmp_path / "a", {"1.png": content})) as archive:
            stamps |= {member.stamp for member in archive.members()}
    assert len(stamps) == 2


def test_names_in_utf_8_without_the_flag_are_read_right(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"größe.png": b"x"})
    data = bytearray(path.read_bytes())
    data[7] &= ~0x08
    data[data.index(b"PK\x01\x02") + 9] &= ~0x08
    path.write_bytes(data)
    with open_archive(path) as archive:
        assert [member.name for member in archive.members()] == ["größe.png"]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("inner", PACKED)
def test_archives_inside_hold_members_one_level_deep(kind: str, inner: str, tmp_path: Path) -> None:
    deepest = PACKED[inner](tmp_path / "deepest", {"4.png": b"four"}).read_bytes()
    packed_files = {"good/1.png": b"one", "good/2.png": b"two", f"deep.{inner}": deepest}
    data = PACKED[inner](tmp_path / "inner", packed_files).read_bytes()
    files = {"0.png": b"zero", f"sets/bottle.{inner}": data, "broken.zip": b"no zip"}
    path = ALL[kind](tmp_path / "outer", files)
    expected = {
        "0.png": b"zero",
        "sets/bottle/good/1.png": b"one",
        "sets/bottle/good/2.png": b"two",
    }
    with open_archive(path) as archive:
        assert {member.name for member in archive.members()} == expected.keys()
        assert archive.skipped == {
            "archive two levels deep": 1,
            "archive inside that cannot be read": 1,
        }
        assert sorted(archive.unread) == ["broken.zip", f"sets/bottle/deep.{inner}"]
        assert dict(archive.extract(expected, 100)) == expected
    with open_archive(path) as anew:
        assert dict(anew.extract(expected, 100)) == expected
        (gone,) = anew.extract({"sets/bottle/good/3.png"}, 100)
        assert isinstance(gone[1], ArchiveError)
    with open_archive(path) as anew:
        assert anew.read("sets/bottle/good/2.png", 100) == b"two"
