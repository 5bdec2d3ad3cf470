"""What lies in a folder or a zip, and in the zips within. Nothing is trusted: not names, sizes, links or dates."""

import contextlib
import hashlib
import io
import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from hvae_keras.files import written_whole

MEGABYTE = 1_000_000
FILE_LIMIT = 200 * MEGABYTE  # of one file in a zip
TOTAL_LIMIT = 2000 * MEGABYTE  # of all that is unpacked: nobody's zip may fill the disk
INNER_LIMIT = 20  # times its own size, or FILE_LIMIT if that is more: of all that one of many zips unpacks to
MEMBERS_LIMIT = 20_000  # of files in one zip
ZIPS_DEEP = 2  # a platform's zip, and the zip that a student handed in
NAME_BYTES = 100  # of a name on disk: every system takes it, with an ending of ours
NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.IGNORECASE)  # some browsers add an ending of their own
IGNORED = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini", re.IGNORECASE | re.DOTALL)
RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])(\..*)?", re.IGNORECASE)
OUTPUTS = frozenset(  # what a grading writes
    {"ledger", "students", "submissions", "junit.xml", "summary.json", "summary.html"}
    | {"grades.csv", "gradebook_canvas.csv", "gradebook_moodle.csv"}
)
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    MemoryError,
)


class DamagedZip(ValueError):
    """A zip that cannot be opened; the message says in one line which and why."""


@dataclass(frozen=True)
class Item:
    """A file or folder, by the names that lead to it: `parts`, where a zip counts as a folder.

    `path` is where its bytes lie: for a notebook from a zip, where it was unpacked; for what was not unpacked,
    the zip. `dates` has, from the outside in, how many names lead to a dated file, and its date. `problem`
    says why the file is out of reach.
    """

    parts: tuple[str, ...]
    path: Path
    dates: tuple[tuple[int, datetime], ...] = ()
    container: bool = False
    problem: str = ""

    @property
    def is_notebook(self) -> bool:
        """Whether it goes by the name of a notebook."""
        return not self.container and NOTEBOOK.search(self.parts[-1]) is not None


def contents(path: Path, into: Path) -> list[Item]:
    """All files and folders in a folder or zip and in the zips within, in order of their names.

    Notebooks from zips are written to `into`, each whole or not at all, under the same names every time.
    Hidden files, those that systems add, and what earlier gradings wrote into a folder are left out. Raises
    DamagedZip for `path` itself, never for a zip within.
    """
    unpacker = _Unpacker(into)
    if path.is_dir():
        found = list(unpacker.folder(path))
    else:
        try:
            with path.open("rb") as stream:
                found = list(unpacker.archive(stream, Item((), path, container=True), 1))
        except _OutOfReach as problem:
            raise DamagedZip(f"{path.name} {problem}") from None
    return sorted(found, key=lambda item: item.parts)


def safe_name(name: str) -> str:
    """`name` as a file or folder may be called on Linux, macOS and Windows, in at most 100 bytes.

    A name that is cut ends in a digest of the whole of it, so that long names stay apart.
    """
    # The characters Windows refuses, control characters, and those that turn the direction of the text.
    safe = UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(" .")
    if len(safe.encode()) > NAME_BYTES:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
        stem, dot, ending = safe.rpartition(".") if re.search(r".\.\w{1,8}$", safe) else (safe, "", "")
        room = NAME_BYTES - len((dot + ending).encode()) - len(digest) - 1
        safe = f"{stem.encode()[:room].decode(errors='ignore')}-{digest}{dot}{ending}"
    return f"_{safe}" if not safe or RESERVED.fullmatch(safe) else safe


def printable(text: str) -> str:
    """`text` in one line that can be written anywhere, whatever bytes a file name had."""
    return UNSAFE.sub(lambda match: match[0] if match[0] in '<>:"/\\|?*' else "_", text)


def folded(name: str) -> str:
    """What names that some system takes for the same have in common."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class _OutOfReach(Exception):
    """Why a file cannot be read: the end of a sentence that begins with its name."""


class _Unpacker:
    """One reading of a folder or zip: what may still be unpacked, and which names are taken."""

    def __init__(self, into: Path):
        self.into = into
        self.left = TOTAL_LIMIT
        self.taken: set[str] = set()

    def folder(self, top: Path) -> Iterator[Item]:
        """The items in a folder, but for the parts of it that hold our own files."""
        inside = self.into.resolve()
        ours = inside.relative_to(top.resolve()).parts[:1] if inside.is_relative_to(top.resolve()) else ()
        waiting = [()]
        while waiting:
            parts = waiting.pop()
            place = top.joinpath(*parts)
            try:
                names = {item.name for item in place.iterdir()}
            except OSError as error:
                if not parts:
                    raise
                yield Item(parts, place, container=True, problem=f"cannot be read: {error.strerror}")
                continue
            graded = self._is_graded(place, names)
            if parts and graded:
                continue
            if parts:
                yield Item(parts, place, container=True)
            for name in sorted(names - OUTPUTS if graded else names):
                if IGNORED.fullmatch(name) or (*parts, name) == ours:
                    continue
                item = _on_disk(top, (*parts, name))
                if item.container:
                    waiting.append(item.parts)
                else:
                    yield from self._opened(item)

    def _is_graded(self, place: Path, names: set[str]) -> bool:
        """Whether a grading wrote into this folder: its ledger is there and, unless it was stopped, a summary."""
        if "ledger" not in names or not (place / "ledger").is_dir():
            return False
        stopped = names <= {"ledger", "submissions"} or self.into.resolve().parent == place.resolve()
        return stopped or "summary.json" in names

    def _opened(self, item: Item) -> Iterator[Item]:
        """The item, and what is in it if it is a zip."""
        if item.container or item.problem or item.path.suffix.lower() != ".zip":
            yield item
            return
        try:
            stream = item.path.open("rb")
        except OSError as error:
            yield Item(item.parts, item.path, item.dates, problem=f"cannot be read: {error.strerror}")
            return
        with stream:
            yield from self._within(stream, item, 1)

    def _within(self, stream: IO[bytes], item: Item, depth: int) -> Iterator[Item]:
        """A zip as a container and what is in it; or, if it cannot be opened, as a file with a problem."""
        size = stream.seek(0, io.SEEK_END)
        outer, self.left = self.left, min(self.left, max(FILE_LIMIT, INNER_LIMIT * size))
        allowed = self.left
        try:
            found = list(self.archive(stream, item, depth))
            yield Item(item.parts, item.path, item.dates, container=True)
            yield from found
        except _OutOfReach as problem:
            yield Item(item.parts, item.path, item.dates, problem=str(problem))
        finally:
            self.left = outer - (allowed - self.left)

    def archive(self, stream: IO[bytes], place: Item, depth: int) -> Iterator[Item]:
        """The items in a zip, which is itself the item `place`."""
        try:
            archive = zipfile.ZipFile(stream)
        except ZIP_ERRORS:
            raise _OutOfReach("is not a zip, or is damaged") from None
        members = archive.infolist()
        if len(members) > MEMBERS_LIMIT:
            raise _OutOfReach(f"holds {len(members)} files, more than {MEMBERS_LIMIT}")
        for member in sorted(members, key=lambda member: (member.filename, member.header_offset)):
            inner = _names(member)
            if not inner or any(IGNORED.fullmatch(name) for name in inner):
                continue
            parts, date = place.parts + inner, _date(member)
            dated = place.dates + (((len(parts), date),) if date else ())
            item = Item(parts, place.path, dated, container=member.is_dir())
            yield from self._member(archive, member, item, depth)

    def _member(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, item: Item, depth: int) -> Iterator[Item]:
        is_zip = not item.container and item.parts[-1].lower().endswith(".zip") and depth < ZIPS_DEEP
        if not (item.is_notebook or is_zip):
            yield item
            return
        try:
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _OutOfReach("is a link, not a file")
            if is_zip:
                with tempfile.TemporaryFile() as inner:
                    self._copy(archive, member, inner)
                    yield from self._within(inner, item, depth + 1)
            else:
                target = self._target(item.parts)
                with written_whole(target) as partial, partial.open("wb") as stream:
                    self._copy(archive, member, stream)
                yield Item(item.parts, target, item.dates)
        except _OutOfReach as problem:
            yield Item(item.parts, item.path, item.dates, problem=str(problem))

    def _copy(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: IO[bytes]) -> None:
        """Copy a member as far as the limits go; what it says about its own size counts for nothing."""
        if member.flag_bits & 0x1:
            raise _OutOfReach("is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _OutOfReach("is packed in a rare way: zip it again")  # LZMA may ask for gigabytes of memory
        room = min(self.left, FILE_LIMIT)
        for chunk in _chunks(archive, member):
            room -= len(chunk)
            self.left -= len(chunk)
            if room < 0:
                limit = f"{FILE_LIMIT // MEGABYTE} MB" if self.left >= 0 else "there is room for"
                raise _OutOfReach(f"unpacks to more than {limit}")
            target.write(chunk)

    def _target(self, parts: tuple[str, ...]) -> Path:
        """A path of our own making for a file from a zip: nothing in its name leads out of `into`."""
        folder, name = safe_name("+".join(parts[:-1])), safe_name(parts[-1])
        stem, dot, ending = name.partition(".")
        count = 1
        while folded(f"{folder}/{name}") in self.taken:
            count += 1
            name = f"{stem}-{count}{dot}{ending}"
        self.taken.add(folded(f"{folder}/{name}"))
        return self.into / folder / name


def _on_disk(top: Path, parts: tuple[str, ...]) -> Item:
    """A file or folder on disk. A link is not followed: it could lead to the solutions."""
    path = top.joinpath(*parts)
    try:
        status = path.lstat()
    except OSError as error:
        return Item(parts, path, problem=f"cannot be read: {error.strerror}")
    if stat.S_ISDIR(status.st_mode):
        return Item(parts, path, container=True)
    if not stat.S_ISREG(status.st_mode):
        return Item(parts, path, problem="is a link or a device, not a file")
    date = file_date(path)
    return Item(parts, path, ((len(parts), date),) if date else ())


def file_date(path: Path) -> datetime | None:
    """When a file was last changed, to the second, in local time; None for a date that no calendar has."""
    try:
        return datetime.fromtimestamp(int(path.stat().st_mtime)).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _date(member: zipfile.ZipInfo) -> datetime | None:
    """The local time in a zip, which knows no time zone. Its first day, 1980-01-01, stands for no date."""
    try:
        date = datetime(*member.date_time)
        return None if date == datetime(1980, 1, 1) else date.astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _names(member: zipfile.ZipInfo) -> tuple[str, ...]:
    """The names that lead to a member, without those that would lead out of the zip."""
    name = member.filename
    if not member.flag_bits & 0x800:  # zips of older systems have UTF-8 names without saying so
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    names = name.split("/" if "/" in name else "\\")
    return tuple(part for part in names if part not in ("", ".", "..") and not re.fullmatch("[A-Za-z]:", part))


def _chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """A member's bytes. Errors of reading are told from errors of writing, which are not the student's."""
    try:
        stream = archive.open(member)
    except ZIP_ERRORS:
        raise _OutOfReach("is damaged in its zip") from None
    with stream:
        while True:
            try:
                chunk = stream.read(MEGABYTE)
            except ZIP_ERRORS:
                raise _OutOfReach("is damaged in its zip") from None
            if not chunk:
                return
            yield chunk
