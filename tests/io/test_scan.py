"""Walking a folder."""

import os
import sys

import pytest

from histoclf.io._scan import scan_images


def test_images_are_found_in_natural_order(touch):
    root = touch("b/10.png", "b/9.PNG", "b/2.jpeg", "a/1.tif", "a b/1.webp", "0.bmp", "b/x01.jpg", "b/x1.jpg")
    files, ignored = scan_images(str(root))
    assert files == [
        "0.bmp",
        "a/1.tif",
        "a b/1.webp",
        "b/2.jpeg",
        "b/9.PNG",
        "b/10.png",
        "b/x01.jpg",
        "b/x1.jpg",
    ]
    assert not ignored


def test_odd_digits_in_names_do_no_harm(touch):
    assert len(scan_images(str(touch("x²1.png", "x٣.png", "1.png", "a1b22.png")))[0]) == 4


def test_other_and_hidden_files_are_counted(touch):
    root = touch("1.png", "a.txt", "b.TXT", "Thumbs.db", "README", ".DS_Store", ".git/2.png", "c/.3.png")
    files, ignored = scan_images(str(root))
    assert files == ["1.png"]
    assert ignored == {".txt": 2, ".db": 1, "no extension": 1, "hidden": 3}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_once(touch, tmp_path):
    root = touch("a/1.png")
    os.symlink(root, root / "a" / "up")  # a circle
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "2.png").touch()
    os.symlink(elsewhere, root / "b")
    assert scan_images(str(root))[0] == ["a/1.png", "b/2.png"]


def test_a_missing_folder_is_answered_with_the_nearest(touch):
    root = touch("1.png")
    with pytest.raises(FileNotFoundError, match=r"no folder '.*patchs'\. Did you mean '.*patches'\?"):
        scan_images(str(root.parent / "patchs"))
    with pytest.raises(FileNotFoundError, match=r"no folder 'no/where'\. \(Looked in '.*'\.\)"):
        scan_images("no/where")


def test_a_file_is_no_folder(touch):
    root = touch("1.png")
    with pytest.raises(NotADirectoryError, match="is a file, expected the folder that holds the patches"):
        scan_images(str(root / "1.png"))
