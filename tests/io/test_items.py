"""What rows are called in files that outlive X."""

from pathlib import Path

import numpy as np

from histoclf.io._items import is_content, item_names


def test_paths_are_called_by_themselves():
    assert item_names([Path("slides/a.png"), "b.png"]) == ["slides/a.png", "b.png"]
    assert not is_content("slides/a.png")


def test_pixels_are_called_by_their_content_wherever_they_are():
    X = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    names = item_names(X)
    assert item_names(X[[3, 1]]) == [names[3], names[1]]
    assert len({*names}) == 5
    assert all(map(is_content, names))
    assert item_names(X / 255.0)[0] != names[0]
