"""Image files: finding them, understanding their names, and loading them within bounded memory."""

from histoclf.io._decode import decode_image, encode_png
from histoclf.io._file_facts import read_file_facts
from histoclf.io._image_loader import ImageLoader
from histoclf.io._names import read_names
from histoclf.io._patches import find_patches
from histoclf.io._paths import as_paths
from histoclf.io._save import save_patches
from histoclf.io._store import common_size, load_patches

__all__ = [
    "ImageLoader",
    "as_paths",
    "common_size",
    "decode_image",
    "encode_png",
    "find_patches",
    "load_patches",
    "read_file_facts",
    "read_names",
    "save_patches",
]
