"""The decoder: image files to uint8 RGB arrays, and back. The only module that knows Pillow."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import get_sampling

from histoclf.exceptions import ImageReadError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

# About 89 million pixels, the size from which Pillow warns. A patch is a thousand times smaller, so a bigger
# file is a whole slide or an attack; Pillow's own limit is a global that any library may have switched off.
MAX_PIXELS = 1024**3 // 12

# Bytes read at once, a whole patch mostly: at each read threads hand the interpreter lock over.
_BUFFER = 2**17

_ORIENTATION = 0x0112  # the EXIF tag
_WHITE = (255, 255, 255, 255)  # what a slide shows where there is no tissue


def decode_image(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> np.ndarray:
    """Read one image file as 8-bit RGB, and resize it on the way if asked to.

    PNG, JPEG, TIFF (first page), BMP and WebP; bilevel, grayscale, palette, CMYK and colour images. Alpha is
    laid over white, the colour of an empty slide; 16-bit grayscale is scaled to 8 bits, not clipped; an
    EXIF rotation is applied.

    Parameters
    ----------
    path : str or path-like
        Image file. What it is is read from its content, not from its extension.
    size : tuple of (int, int), default=None
        Height and width wanted, in pixels; None keeps those of the file. The result is that of `resize_image`
        to the last bit, with fewer copies.

    Returns
    -------
    image : ndarray of shape (height, width, 3), dtype uint8
        Red, green, blue in 0-255.

    Raises
    ------
    ImageReadError
        If the file is missing, a directory, empty, truncated, not such an image, or so large (above about
        89 million pixels) that it must be a whole slide or a decompression bomb. The message says which;
        the attribute ``failures`` maps the path to the reason.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from histoclf.io import decode_image, encode_png
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     encode_png(np.full((4, 6, 3), 200, dtype=np.uint8), folder + "/patch.png")
    ...     image = decode_image(folder + "/patch.png")
    >>> image.shape, image.dtype.name, int(image.max())
    ((4, 6, 3), 'uint8', 200)
    """
    with _opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        rgb = _as_rgb(image)
        return np.array(rgb if size is None else _resized(rgb, size))


def probe_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Read the height and width of an image file from its header, without decoding the pixels.

    Parameters
    ----------
    path : str or path-like
        Image file.

    Returns
    -------
    height, width : int
        Size in pixels after the EXIF rotation.

    Raises
    ------
    ImageReadError
        As `decode_image`, except that damage behind the header stays unseen.
    """
    with _opened(path) as image:
        # Not image.getexif(): for a PNG without EXIF that one decodes all pixels in search of it.
        turned = Image.Image.getexif(image).get(_ORIENTATION, 1) >= 5
        # Not image.size for a TIFF: whether that one is turned already depends on the version of Pillow.
        width, height = (image.tag_v2[256], image.tag_v2[257]) if image.format == "TIFF" else image.size
        return (width, height) if turned else (height, width)


@dataclass(frozen=True)
class FileTraits:
    """What a header tells about how an image file was made, and not about what it shows."""

    format: str
    mode: str
    size: tuple[int, int]
    tables: tuple[tuple[int, ...], ...] = ()
    settings: tuple[str, ...] = ()


def read_traits(path: str | os.PathLike[str]) -> FileTraits:
    """Read from the header of an image file how it was made, without decoding the pixels.

    Parameters
    ----------
    path : str or path-like
        Image file.

    Returns
    -------
    traits : FileTraits
        Format, colour mode, stored height and width; of a JPEG its quantisation tables and settings of its
        encoder; of other formats the names of what their header holds.

    Raises
    ------
    ImageReadError
        As `decode_image`, except that damage behind the header stays unseen.
    """
    with _opened(path) as image:
        tables = getattr(image, "quantization", None) or {}
        named = [f"{name}={image.info[name]}" for name in ("compression", "interlace") if name in image.info]
        present = [name for name in ("jfif", "adobe", "exif", "icc_profile", "dpi") if name in image.info]
        progressive = ["progressive"] if image.info.get("progressive") else []
        sampling = [f"sampling {get_sampling(image)}"] if image.format == "JPEG" else []
        return FileTraits(
            format=image.format,
            mode=image.mode,
            size=(image.size[1], image.size[0]),
            tables=tuple(tuple(tables[number]) for number in sorted(tables)),
            settings=tuple(named + present + progressive + sampling),
        )


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image bilinearly, with antialiasing when it shrinks.

    Parameters
    ----------
    image : ndarray of shape (height, width, n_channels), dtype uint8 or float32
        Any value range, any number of channels.
    size : tuple of (int, int)
        Height and width wanted, in pixels. The aspect ratio is not kept.

    Returns
    -------
    resized : ndarray of shape (size[0], size[1], n_channels)
        Same dtype as `image`; `image` itself when it has this size already.

    Raises
    ------
    TypeError
        If the dtype is neither uint8 nor float32.
    """
    if image.dtype not in (np.uint8, np.float32):
        raise TypeError(f"resize_image takes uint8 or float32 images, got {image.dtype}.")
    if image.shape[:2] == tuple(size):
        return image
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return _resize_plane(image, size)
    return np.stack([_resize_plane(plane, size) for plane in np.moveaxis(image, 2, 0)], axis=2)


def encode_png(image: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write an 8-bit image as a PNG file, whole or not at all.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3) or (height, width), dtype uint8
        RGB or grayscale, 0-255.
    path : str or path-like
        File to write, replaced if it exists. Its folder must exist.

    Raises
    ------
    TypeError
        If `image` is not uint8.

    Examples
    --------
    >>> import os, tempfile, numpy as np
    >>> from histoclf.io import encode_png
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     encode_png(np.zeros((8, 8, 3), dtype=np.uint8), folder + "/black.png")
    ...     os.listdir(folder)
    ['black.png']
    """
    if image.dtype != np.uint8:
        raise TypeError(f"encode_png takes uint8 images (0-255), got {image.dtype}.")
    # Written beside the target and renamed, so that a reader never meets half a file.
    handle, temporary = tempfile.mkstemp(dir=Path(path).parent, prefix=".histoclf-", suffix=".png")
    try:
        with os.fdopen(handle, "wb") as file:
            Image.fromarray(np.ascontiguousarray(image)).save(file, format="PNG")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def encode_webp(image: np.ndarray, *, quality: int = 80) -> bytes:
    """Encode an 8-bit image for a page that holds its pictures itself, where every byte counts.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3) or (height, width), dtype uint8
        RGB or grayscale, 0-255.
    quality : int, default=80
        0 to 100; what is lost at 80 is not seen on a screen.

    Returns
    -------
    data : bytes
        Content of a WebP file.

    Raises
    ------
    TypeError
        If `image` is not uint8.
    """
    if image.dtype != np.uint8:
        raise TypeError(f"encode_webp takes uint8 images (0-255), got {image.dtype}.")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="WEBP", quality=quality)
    return buffer.getvalue()


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open an image, refuse bombs, and turn whatever goes wrong into an ImageReadError with a reason."""
    try:
        with open(path, "rb", buffering=_BUFFER) as file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Image.DecompressionBombError
            yield image
    except MemoryError:
        raise
    # Pillow's plugins raise nearly anything on damaged bytes: OSError, SyntaxError, ValueError,
    # struct.error...
    except Exception as error:
        reason = _reason(os.fspath(path), error)
        raise ImageReadError(
            f"Cannot read image '{os.fspath(path)}': {reason}.", {os.fspath(path): reason}
        ) from error


def _reason(path: str, error: Exception) -> str:
    """Say in a few words why `path` could not be read."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if os.path.isdir(path):
        return "it is a directory, not an image file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if os.path.exists(path) and os.path.getsize(path) == 0:
        return "the file is empty (zero bytes)"
    if isinstance(error, UnidentifiedImageError):
        return "it is not a PNG, JPEG, TIFF, BMP or WebP image, or its header is damaged"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {MAX_PIXELS:,} pixels: a whole slide (cut it into patches) or a decompression bomb"
    return f"the image data is truncated or damaged ({type(error).__name__}: {error})"


def _as_rgb(image: Image.Image) -> Image.Image:
    """Convert whatever mode a file has."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_gray16_to_rgb(np.asarray(image), image.mode))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, _WHITE), rgba).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image


def _gray16_to_rgb(values: np.ndarray, mode: str) -> np.ndarray:
    """Scale 16-bit gray levels to 8 bits; 257 = 65535 / 255 keeps both black and white."""
    if mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f"pixels of mode {mode!r} beyond 16 bits have no agreed white; save it as 8-bit RGB")
    gray = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(gray[..., np.newaxis], 3, axis=2)


def _resize_plane(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(_resized(Image.fromarray(np.ascontiguousarray(plane)), size))


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == (size[1], size[0]):
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
