"""Files to read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture() -> np.ndarray:
    """A small image in which no two corners are alike, (4, 6, 3) uint8."""
    return np.random.RandomState(0).randint(0, 256, (4, 6, 3)).astype(np.uint8)


@pytest.fixture
def touch(tmp_path):
    """Make empty files below a folder ``patches``: enough where only names count."""

    def touch(*files: str) -> Path:
        root = tmp_path / "patches"
        for file in files:
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return root

    return touch


@pytest.fixture
def bad_files(tmp_path) -> dict[str, str]:
    """Files that cannot be read, and a word of the reason that must be given."""
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "truncated.png").write_bytes((tmp_path / "whole.png").read_bytes()[:4000])
    (tmp_path / "truncated.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:1500])
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.png").write_text("not an image", encoding="utf-8")
    (tmp_path / "folder.png").mkdir()
    reasons = {
        "truncated.png": "truncated or damaged",
        "truncated.jpg": "truncated or damaged",
        "empty.png": "empty (zero bytes)",
        "notes.png": "not a PNG, JPEG, TIFF, BMP or WebP image",
        "folder.png": "is a directory",
        "missing.png": "no such file",
    }
    return {str(tmp_path / name): reason for name, reason in reasons.items()}
