"""Files of pictures, as small as they can be, with the measures a test wants."""

import struct
import zlib


def png(width: int = 1024, height: int = 512, *, size: int = 0) -> bytes:
    """A black PNG; of `size` bytes, if that is more than it needs."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checked = name + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    drawn = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    parts = [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        chunk(b"IDAT", drawn),
        chunk(b"IEND", b""),
    ]
    missing = size - sum(map(len, parts)) - 12
    if missing > 0:
        parts.insert(3, chunk(b"tEXt", b"Comment\0".ljust(missing, b"x")))
    return b"".join(parts)


def jpeg(width: int, height: int, *, notes: int = 0) -> bytes:
    """The headers of a JPEG, behind so many bytes of notes of its camera."""
    exif = b"\xff\xe1" + struct.pack(">H", notes + 2) + b"e" * notes if notes else b""
    frame = struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + exif + b"\xff\xc4\x00\x04ab" + b"\xff\xff\xc2" + frame + b"\xff\xd9"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def bmp(width: int, height: int) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<Iii", 40, width, -height) + bytes(28)


def webp(kind: bytes, width: int, height: int) -> bytes:
    """`kind` is that of the first chunk: VP8, VP8L or VP8X."""
    match kind:
        case b"VP8 ":
            body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
        case b"VP8L":
            body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
        case _:
            body = bytes(4) + b"".join((n - 1).to_bytes(3, "little") for n in (width, height))
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBP" + kind + struct.pack(
        "<I", len(body)
    ) + body  # fmt: skip
