"""Bytes -> a picture in memory: PNG, JPEG, WebP, TIFF, BMP and one PDF page, recognised by content and bounded before anything is decoded."""

import io
import struct
import threading
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import InputError, LimitError
from core.exhibit import Source

MAX_BYTES = 25_000_000
MAX_PIXELS = 25_000_000
SHRINK_PIXELS = 4 * MAX_PIXELS
PDF_DPI = 200

# Pillow's names; the list also bounds which decoders a visitor's bytes can reach.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
READS = "PNG, JPEG, WebP, TIFF, BMP and PDF"

# What a file begins with -> what it is, for the sentence that says why it is not read.
MAGIC = (
    (b"PK\x03\x04", "a ZIP archive (or an Office document)"), (b"PK\x05\x06", "an empty ZIP archive"), (b"GIF8", "a GIF picture"),
    (b"\x1f\x8b", "a gzip archive"), (b"7z\xbc\xaf", "a 7z archive"), (b"Rar!", "a RAR archive"), (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"\x00\x00\x01\x00", "an icon file"), (b"8BPS", "a Photoshop document"), (b"%!PS", "a PostScript file"), (b"{\\rtf", "an RTF document"),
    (b"\x7fELF", "a program"), (b"MZ", "a program"), (b"<svg", "an SVG drawing"), (b"<?xml", "an XML file"), (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"), (b"\x00\x00\x00\x0cjP", "a JPEG 2000 picture"), (b"\xff\x0a", "a JPEG XL picture"),
    (b"ID3", "a sound file"), (b"OggS", "a sound file"),
)
_BEGINS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"II*\x00", "TIFF"), (b"MM\x00*", "TIFF"),
           (b"II+\x00", "TIFF"), (b"MM\x00+", "TIFF"), (b"BM", "BMP"))
_PDFIUM = threading.Lock()  # pdfium is not thread-safe


@dataclass(frozen=True)
class PictureInfo:
    """What the header says: format, width and height in pixels (a PDF page: as it would be drawn), number of pages or frames."""

    format: str
    width: int
    height: int
    pages: int

    @property
    def over_limit(self) -> bool:
        """More pixels than are read; `shrink` can halve the sides."""
        return self.width * self.height > MAX_PIXELS


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    rgb            uint8[H, W, 3], upright, transparency laid over white
    width, height  pixels of the input picture; W = width and H = height unless it was shrunk
    scale          pixels of rgb per pixel of the input (1.0, or 0.5 when it was halved while decoding)
    page, pages    the page (frame) read, from 1, and how many there are
    notes          sentences a visitor has to know
    """

    name: str
    rgb: np.ndarray
    format: str
    width: int
    height: int
    page: int
    pages: int
    sha256: str
    notes: tuple[str, ...] = field(default=())
    scale: float = 1.0


def inspect(source: Source, page: int = 1) -> PictureInfo:
    """Read the header only: cheap enough to run at upload.

    A picture over MAX_PIXELS that halving would bring under it is returned with `over_limit` set.
    Raises InputError (empty, not a picture, broken header, no such page, locked PDF), LimitError (bytes, pixels).
    """
    _check_bytes(source)
    if _is_pdf(source.data):
        return _inspect_pdf(source, page)
    with _open(source) as image:
        return _info(source, image)


def read_picture(source: Source, page: int = 1, shrink: bool = False) -> Picture:
    """Decode one picture or one PDF page.

    page    which page of a PDF, from 1; pictures with several frames give their first
    shrink  halve the sides of a picture of MAX_PIXELS to SHRINK_PIXELS pixels instead of refusing it
    Raises InputError (empty, truncated, not a picture, no such page, locked PDF), LimitError (bytes, pixels).
    """
    _check_bytes(source)
    if _is_pdf(source.data):
        return _read_pdf(source, page)
    with _open(source) as image:
        info = _info(source, image)
        if info.over_limit and not shrink:
            raise LimitError(_too_many(source.name, info.width * info.height, f"{info.width:,} x {info.height:,} = "))
        return _decode(source, image, info)


def _check_bytes(source: Source) -> None:
    if not source.data:
        raise InputError(f"{source.name} is empty: 0 bytes. Choose a file that holds a picture ({READS}).")
    if len(source.data) > MAX_BYTES:
        raise LimitError(f"{source.name} has {len(source.data) / 1e6:.1f} MB; at most {MAX_BYTES // 10**6} MB are read. "
                         "Crop it to the table or save it as JPEG.")


def _too_many(name: str, pixels: int, sides: str = "") -> str:
    way = "Halve it while reading (shrink) or crop it to the table." if pixels <= SHRINK_PIXELS else "Scale it down or crop it to the table."
    return f"{name} has {sides}{pixels:,} pixels; at most {MAX_PIXELS:,} are read. {way}"


def _is_pdf(data: bytes) -> bool:
    return b"%PDF-" in data[:1024] and not data.startswith(tuple(magic for magic, _ in _BEGINS))


def _open(source: Source) -> Image.Image:
    """Pillow's lazy open: the header is parsed, no pixel is decoded."""
    try:
        return Image.open(io.BytesIO(source.data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        # Pillow's own check stops these before we see the sides; its message gives the number of pixels.
        pixels = int("".join(c for c in str(bomb).split("pixels")[0] if c.isdigit()) or 0)
        raise LimitError(_too_many(source.name, pixels)) from bomb
    except UnidentifiedImageError as error:
        raise InputError(_not_a_picture(source)) from error
    except Exception as error:  # decoders raise nearly anything on crafted bytes
        raise InputError(f"{source.name} could not be opened as a picture: its header is broken after {len(source.data):,} bytes. "
                         "Save or export it again.") from error


def _not_a_picture(source: Source) -> str:
    data = source.data
    begins = next((form for magic, form in _BEGINS if data.startswith(magic)), "WebP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None)
    if begins == "PNG" and data[12:16] == b"IHDR" and 0 in (sides := struct.unpack(">II", data[16:24].ljust(8, b"\1"))):
        return f"{source.name} is {sides[0]} x {sides[1]} pixels: at least 1 x 1 is needed. Export it again."
    if begins:
        return f"{source.name} begins like a {begins} picture but its header is broken or cut off ({len(data):,} bytes). Save or export it again."
    return f"{source.name} is {_what(data)}, which is not read here. Bring one of {READS}."


def _what(data: bytes) -> str:
    head = data[:512].lstrip()
    for magic, words in MAGIC:
        if head.lower().startswith(magic.lower()):
            return words
    if data[4:8] == b"ftyp":
        return "a HEIC or AVIF picture or a video" if data[8:12] in (b"heic", b"heix", b"mif1", b"avif") else "a video"
    printable = sum(32 <= b < 127 or b in (9, 10, 13) for b in data[:512])
    return "a text file" if printable > 0.95 * min(len(data), 512) else f"a file of an unknown kind (it begins with the bytes {data[:4].hex(' ')})"


def _info(source: Source, image: Image.Image) -> PictureInfo:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"{source.name} is {width} x {height} pixels: at least 1 x 1 is needed. Export it again.")
    if width * height > SHRINK_PIXELS:
        raise LimitError(_too_many(source.name, width * height, f"{width:,} x {height:,} = "))
    if image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8):
        width, height = height, width
    form = "JPEG" if image.format == "MPO" else image.format
    return PictureInfo(form, width, height, _frames(image))


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(0x0112, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the picture
        return 1


def _frames(image: Image.Image) -> int:
    # The frames of an MPO are previews or the other eye of a stereo pair, not pages.
    if image.format == "MPO":
        return 1
    try:
        return max(1, getattr(image, "n_frames", 1))
    except Exception:
        return 1


def _decode(source: Source, image: Image.Image, info: PictureInfo) -> Picture:
    notes = [] if info.pages == 1 else [f"{source.name} has {info.pages:,} frames; the first was read."]
    try:
        if info.over_limit:
            image.draft("RGB", (image.width // 2, image.height // 2))  # JPEG: half the sides straight from the DCT
        image.load()
        image = _upright(image)
        rgb = to_rgb(image, notes)
    except Exception as error:  # decoders raise nearly anything on crafted bytes
        raise InputError(f"{source.name} is cut off or damaged: its {len(source.data):,} bytes do not hold the whole "
                         f"{info.width:,} x {info.height:,} picture. Save or send it again.") from error
    scale = 1.0
    if info.over_limit:
        rgb, scale = _halved(rgb), 0.5
        notes.append(f"{source.name} has {info.width * info.height:,} pixels; its sides were halved before it was read.")
    height, width = (rgb.shape[0], rgb.shape[1]) if scale == 1.0 else (info.height, info.width)
    return Picture(source.name, rgb, info.format, width, height, 1, info.pages, source.sha256, tuple(notes), scale)


def _halved(rgb: np.ndarray) -> np.ndarray:
    if rgb.shape[0] * rgb.shape[1] <= MAX_PIXELS:
        return rgb
    return np.asarray(Image.fromarray(rgb).reduce(2))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block is no reason to refuse the picture
        return image


def to_rgb(image: Image.Image, notes: list[str]) -> np.ndarray:
    """A decoded Pillow picture of any mode -> uint8[H, W, 3]; deep grey is scaled to 8 bits, transparency is laid over white."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = _eight_bits(np.asarray(image), sixteen=image.mode.startswith("I;16"), notes=notes)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(paper, rgba).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _eight_bits(values: np.ndarray, sixteen: bool, notes: list[str]) -> np.ndarray:
    """16-bit grey, or 32-bit integers and floats whose range tells their scale: 0..1, 0..255, 0..65,535, else stretched."""
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if sixteen or (low >= 0 and 255 < high <= 65535):
        scaled = values / 257
    elif low >= 0 and high <= 1:
        scaled = values * 255
    elif low >= 0 and high <= 255:
        scaled = values
    else:
        scaled = (values - low) * (255 / ((high - low) or 1))
        notes.append(f"Its values run from {low:g} to {high:g}; they were stretched to black and white.")
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _inspect_pdf(source: Source, page: int) -> PictureInfo:
    with _PDFIUM:
        document = _open_pdf(source)
        try:
            width, height, scale = _pdf_page_size(source, document, page)
            return PictureInfo("PDF", max(1, round(width * scale)), max(1, round(height * scale)), len(document))
        finally:
            document.close()


def _open_pdf(source: Source):
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(source.data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise InputError(f"{source.name} is locked with a password. Save a copy without one and bring that.") from error
        raise InputError(f"{source.name} is a PDF that cannot be opened: its {len(source.data):,} bytes are cut off or damaged. "
                         "Export it again.") from error
    if len(document) < 1:
        document.close()
        raise InputError(f"{source.name} is a PDF with 0 pages; at least 1 is needed. Export it again.")
    return document


def _pdf_page_size(source: Source, document, page: int) -> tuple[float, float, float]:
    """(width, height in points, pixels per point), the latter at most PDF_DPI / 72 and such that the page stays under MAX_PIXELS."""
    if not 1 <= page <= len(document):
        raise InputError(f"{source.name} has {len(document):,} pages; page {page:,} was asked for. Choose a page from 1 to {len(document):,}.")
    width, height = document.get_page_size(page - 1)  # 0 x 0 where the page's own object is broken
    if width <= 0 or height <= 0:
        raise InputError(f"Page {page} of {source.name} is {width:g} x {height:g} points: it has no area. Export it again.")
    return width, height, min(PDF_DPI / 72, (0.99 * MAX_PIXELS / (width * height)) ** 0.5)


def _read_pdf(source: Source, page: int) -> Picture:
    import pypdfium2

    with _PDFIUM:
        document = _open_pdf(source)
        try:
            width, height, scale = _pdf_page_size(source, document, page)
            drawn = document[page - 1].render(scale=scale, rev_byteorder=True)
            rgb = np.array(drawn.to_numpy()[:, :, :3])  # a copy: the bitmap goes with the document
            pages = len(document)
        except pypdfium2.PdfiumError as error:
            raise InputError(f"Page {page} of {source.name} cannot be drawn: the PDF is damaged there. Export it again.") from error
        finally:
            document.close()
    notes = [f"Page {page} of {pages:,} was read."] if pages > 1 else []
    if scale * 72 < 0.6 * PDF_DPI:
        notes.append(f"The page is {width / 72:.1f} x {height / 72:.1f} inches; it was drawn at {scale * 72:.0f} dpi.")
    return Picture(source.name, rgb, "PDF", rgb.shape[1], rgb.shape[0], page, pages, source.sha256, tuple(notes))
