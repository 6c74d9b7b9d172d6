"""Text files as UTF-8, whole or in blocks of whole lines; what is no text is refused."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from movierec.data.formats.files import Stream
from movierec.data.formats.raw import START, Place
from movierec.errors import FormatError

__all__ = ["BLOCK", "MAX_LINE", "TextBlock", "as_utf8", "first_line", "text_blocks"]

MAX_LINE = 1 << 20  # bytes; a rating takes some 30, a movie some 300
BLOCK = 16 << 20  # bytes parsed at once, far above MAX_LINE
_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True)
class TextBlock:
    """Whole lines in UTF-8, the number of the first one, and where the next block begins."""

    data: bytes
    line: int
    end: Place


def as_utf8(data: bytes, file: str) -> bytes:
    """Return text as UTF-8 without a BOM; what is not UTF-8 is taken for Latin-1.

    Raises:
        FormatError: the file is empty, binary, in UTF-16, or has a line over 1 MB.

    """
    return _checked(data, file, START).data


def text_blocks(stream: Stream, file: str, start: Place = START) -> Iterator[TextBlock]:
    """Yield a file's text from a place on, in blocks of some 16 MB; raises what `as_utf8` raises.

    A block ends with a line, and as far as can be told not within a quoted value.
    """
    stream.go_to(start.offset)
    place, rest, ended = start, b"", False
    while not ended:
        more = stream.read(BLOCK)
        ended = len(more) < BLOCK
        data = rest + more
        cut = len(data) if ended else _last_line_end(data)
        rest = data[cut:]
        if cut or len(data) > MAX_LINE or (ended and place == START):
            block = _checked(data[: cut or len(data)], file, place)
            yield block
            place = block.end


def first_line(data: bytes) -> str:
    """Return the first line of UTF-8 text without its line break."""
    return data[: MAX_LINE + 1].partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")


def _last_line_end(data: bytes) -> int:
    """Return the length of the whole lines, 0 without any.

    A line break is no end of a line where a quote before it is open. Values are far shorter than
    a line may be: where every break that near the end seems to be in one, a quote stands alone.
    """
    last = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, last)
    cut = last
    while quotes % 2 and last - cut < MAX_LINE:
        earlier = data.rfind(b"\n", 0, cut - 1) + 1
        if not earlier:
            return last
        quotes -= data.count(b'"', earlier, cut)
        cut = earlier
    return last if quotes % 2 else cut


def _checked(data: bytes, file: str, place: Place) -> TextBlock:
    if place.offset == 0 and (not data or data.isspace()):
        raise FormatError(f"{file} is empty.", hint="Check that it was copied or unpacked fully.")
    if place.offset == 0 and data.startswith(_OTHER_ENCODINGS):
        raise FormatError(f"{file} is in UTF-16 or UTF-32.", hint="Save it as UTF-8.")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + place.line
        raise FormatError(
            f"{file} is not text: line {line} has a zero byte.",
            hint="Give a CSV, TSV or Parquet file.",
        )
    text = data.removeprefix(codecs.BOM_UTF8) if place.offset == 0 else data
    _refuse_endless_line(text, file, place.line)
    encoding = _encoding(text, file, place)
    if encoding == "latin-1":
        text = text.decode(encoding).encode()
    end = Place(place.offset + len(data), place.line + data.count(b"\n"), encoding)
    return TextBlock(text, place.line, end)


def _encoding(data: bytes, file: str, place: Place) -> str:
    if data.isascii() or place.encoding == "latin-1":
        return place.encoding
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if not place.encoding:
            return "latin-1"
        line = place.line + data.count(b"\n", 0, error.start)
        raise FormatError(
            f"{file} is in UTF-8, but line {line} is not.", hint="Save it as UTF-8."
        ) from error
    return "utf-8"


def _refuse_endless_line(data: bytes, file: str, line: int) -> None:
    start = 0
    while len(data) - start > MAX_LINE:
        end = data.rfind(b"\n", start, start + MAX_LINE)
        if end < 0:
            line += data.count(b"\n", 0, start)
            raise FormatError(
                f"Line {line} of {file} is longer than {MAX_LINE:,} bytes.",
                hint="Check that its lines end in a line break.",
            )
        start = end + 1
