"""Bad and odd picture files, made at test time: each function gives the bytes a visitor might bring."""

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image


def picture(width: int = 40, height: int = 30) -> Image.Image:
    """A horizontal ramp with one red corner, so that turns and colours show."""
    ramp = np.repeat(np.linspace(0, 255, width, dtype=np.uint8)[None, :], height, axis=0)
    rgb = np.stack([ramp] * 3, axis=2)
    rgb[:8, :8] = (220, 30, 30)
    return Image.fromarray(rgb)


def saved(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int, real: bool = False) -> bytes:
    """A 1-bit PNG of any claimed size in a few kilobytes; with `real` its pixels are really there (all white)."""
    rows = zlib.compressobj(9)
    row = b"\x00" + b"\xff" * -(-width // 8)
    data = b"".join(rows.compress(row) for _ in range(height if real else 1)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def truncated_png() -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), "PNG")
    return data[:len(data) // 2]


def truncated_jpeg() -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), "JPEG")
    return data[:len(data) // 2]


def broken_png_header() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"\x00" * 40


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        bundle.writestr("table.txt", "1 2 3")
    return out.getvalue()


def pdf(pages: int, text: str = "", width: float = 200, height: float = 100) -> bytes:
    """A PDF of equal pages with one line of text each, its reference table left for the reader to rebuild."""
    body = f"BT /F1 24 Tf 20 40 Td ({text}) Tj ET".encode()
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>",
               f"<< /Type /Pages /Count {pages} /Kids [{' '.join(f'{5 + i} 0 R' for i in range(pages))}] >>".encode(),
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
               b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body)]
    page = (f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:g} {height:g}] /Contents 4 0 R /Resources << /Font << /F1 3 0 R >> >> >>").encode()
    return _assembled([*objects, *[page] * pages], b"")


def locked_pdf() -> bytes:
    """A PDF that says it is encrypted with a password nobody gave."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
               b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
               b"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <" + b"41" * 32 + b"> /U <" + b"42" * 32 + b"> >>"]
    return _assembled(objects, b"/Encrypt 4 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] ")


def _assembled(objects: list[bytes], trailer: bytes) -> bytes:
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)
