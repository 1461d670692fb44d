"""Loading many files: in place, in parallel, within the budget, and with every failure named."""

import gc
import glob
import os
import pickle
import tempfile
import tracemalloc
from time import time_ns

import joblib
import numpy as np
import pytest
import sklearn

from histoclf.exceptions import ImageReadError, InputContractError, SkippedImagesWarning
from histoclf.io import _store
from histoclf.io._decode import decode_image, encode_png, probe_size, resize_image
from histoclf.io._store import common_size, load_patches


@pytest.fixture
def paths(tmp_path) -> list[str]:
    """Seventy files, more than two chunks."""
    images = np.random.RandomState(0).randint(0, 256, (70, 12, 10, 3)).astype(np.uint8)
    found = [str(tmp_path / f"{number}.png") for number in range(len(images))]
    for path, image in zip(found, images, strict=True):
        encode_png(image, path)
    return found


@pytest.fixture
def temp_dir(tmp_path, monkeypatch) -> str:
    """An empty folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return str(folder)


@pytest.mark.parametrize("n_jobs", [1, 2, None, -1])
def test_images_are_loaded_and_resized_in_order(paths, n_jobs):
    loaded = load_patches(paths, image_size=(6, 8), n_jobs=n_jobs)
    assert loaded.images.shape == (70, 6, 8, 3)
    assert loaded.images.dtype == np.uint8
    assert loaded.kept.tolist() == list(range(70))
    assert loaded.failures == {}
    for path, image in zip(paths, loaded.images, strict=True):
        np.testing.assert_array_equal(image, resize_image(decode_image(path), (6, 8)))


def test_repeated_paths_are_decoded_once(paths, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        _store, "decode_image", lambda path, size: decoded.append(path) or decode_image(path, size)
    )
    loaded = load_patches([paths[0], paths[1], paths[0], paths[0]], image_size=(12, 10))
    assert sorted(decoded) == sorted(paths[:2])
    np.testing.assert_array_equal(loaded.images[0], loaded.images[2])
    np.testing.assert_array_equal(loaded.images[0], loaded.images[3])


def test_no_paths_give_no_images():
    assert load_patches([], image_size=(4, 4)).images.shape == (0, 4, 4, 3)


def test_a_progress_bar_shows_on_request(paths, capsys):
    load_patches(paths, image_size=(4, 4))
    assert capsys.readouterr().err == ""
    load_patches(paths, image_size=(4, 4), verbose=1)
    assert "Reading images: 100%" in capsys.readouterr().err


# --- bad files ---------------------------------------------------------------------------------------------


def test_one_error_names_all_bad_files(paths, bad_files):
    with pytest.raises(ImageReadError) as caught:
        load_patches([*paths, *bad_files], image_size=(4, 4))
    message = str(caught.value)
    assert message.startswith("Cannot read 6 of 76 image files:")
    assert list(caught.value.failures) == list(bad_files)
    for path, reason in bad_files.items():
        assert path in message
        assert reason in caught.value.failures[path]


def test_the_message_shows_ten_and_counts_the_rest(paths):
    missing = [f"missing{number}.png" for number in range(13)]
    with pytest.raises(
        ImageReadError, match=r"missing9\.png: there is no such file\n  \.\.\. and 3 more"
    ) as caught:
        load_patches([*paths, *missing], image_size=(4, 4))
    assert "missing10.png" not in str(caught.value)
    assert list(caught.value.failures) == missing
    assert pickle.loads(pickle.dumps(caught.value)).failures == caught.value.failures


def test_skipping_leaves_out_counts_and_warns(paths, bad_files):
    first, *others = bad_files
    mixed = [first, *paths[:3], *others, paths[3], first, paths[0]]
    with pytest.warns(SkippedImagesWarning, match="Skipped 6 of 10 image files"):
        loaded = load_patches(mixed, image_size=(12, 10), on_error="skip")
    assert loaded.kept.tolist() == [1, 2, 3, 9, 11]
    assert set(loaded.failures) == set(bad_files)
    for row, image in zip(loaded.kept, loaded.images, strict=True):
        np.testing.assert_array_equal(image, decode_image(mixed[row]))


def test_skipping_everything_is_an_error(bad_files):
    with pytest.raises(ImageReadError, match="Cannot read 6 of 6"):
        load_patches(list(bad_files), image_size=(4, 4), on_error="skip")


def test_a_misspelt_on_error_is_refused(paths):
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', got 'ignore'"):
        load_patches(paths, image_size=(4, 4), on_error="ignore")


# --- memory ------------------------------------------------------------------------------------------------


def test_beyond_the_budget_images_lie_on_disk_until_the_last_view_goes(paths, temp_dir):
    loaded = load_patches(paths, image_size=(12, 10), max_bytes=1000)
    assert isinstance(loaded.images, np.memmap)
    np.testing.assert_array_equal(loaded.images, load_patches(paths, image_size=(12, 10)).images)
    view = loaded.images[3:5]
    del loaded
    gc.collect()
    assert len(os.listdir(temp_dir)) == 1
    np.testing.assert_array_equal(view[0], decode_image(paths[3]))
    del view
    gc.collect()
    assert os.listdir(temp_dir) == []


def test_skipping_works_on_disk_too(paths, bad_files, temp_dir):
    with pytest.warns(SkippedImagesWarning, match="6 of 8"):
        loaded = load_patches([*bad_files, *paths[:2]], image_size=(12, 10), on_error="skip", max_bytes=0)
    assert loaded.kept.tolist() == [6, 7]
    np.testing.assert_array_equal(loaded.images[1], decode_image(paths[1]))


def test_failing_leaves_no_file_behind(bad_files, temp_dir):
    with pytest.raises(ImageReadError):
        load_patches(list(bad_files), image_size=(12, 10), max_bytes=0)
    gc.collect()
    assert os.listdir(temp_dir) == []


def test_the_default_budget_is_scikit_learns(paths):
    with sklearn.config_context(working_memory=0.001):
        assert isinstance(load_patches(paths, image_size=(12, 10)).images, np.memmap)
    assert not isinstance(load_patches(paths, image_size=(12, 10)).images, np.memmap)


def test_a_full_disk_is_said_beforehand(paths, temp_dir):
    with pytest.raises(
        OSError, match=r"70 samples of 9000000 x 9000000 x 3 numbers take .* GiB free\. Use a smaller"
    ):
        load_patches(paths, image_size=(9_000_000, 9_000_000))
    assert glob.glob(temp_dir + "/*") == []


def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    big = str(tmp_path / "big.png")
    encode_png(np.zeros((600, 600, 3), dtype=np.uint8), big)  # about 1 MB decoded
    names = [str(tmp_path / f"{number}.png") for number in range(60)]
    for name in names:
        os.link(big, name)
    tracemalloc.start()
    load_patches(names, image_size=(8, 8), n_jobs=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6  # all at once would be 65 MB


# --- threads -----------------------------------------------------------------------------------------------


def threads_in_a_worker() -> int:
    return _store._n_threads(None)


def test_workers_share_the_cores():
    assert _store._n_threads(None) == joblib.cpu_count()
    assert _store._n_threads(3) == 3
    assert _store._n_threads(-1) == joblib.cpu_count()
    per_worker = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(threads_in_a_worker)() for _ in range(2)
    )
    assert sum(per_worker) <= max(2, joblib.cpu_count())


@pytest.mark.parametrize(("share", "threads"), [("1", 1), ("1,4", 1), ("", 1), ("all", 1), ("0", 1)])
def test_a_worker_takes_the_share_it_was_given(monkeypatch, share, threads):
    monkeypatch.setattr(_store.multiprocessing, "parent_process", lambda: "a parent")
    monkeypatch.setenv("OMP_NUM_THREADS", share)
    assert _store._n_threads(None) == threads


# --- common size -------------------------------------------------------------------------------------------


def test_the_most_frequent_size_wins(paths, tmp_path):
    encode_png(np.zeros((99, 99, 3), dtype=np.uint8), tmp_path / "odd.png")
    assert common_size([str(tmp_path / "odd.png"), *paths]) == (12, 10)


def test_of_equally_frequent_sizes_the_largest_wins(paths, tmp_path):
    encode_png(np.zeros((99, 99, 3), dtype=np.uint8), tmp_path / "odd.png")
    assert common_size([str(tmp_path / "odd.png"), paths[0]]) == (99, 99)


@pytest.mark.parametrize(("limit", "expected"), [(None, (12, 10)), (12, (12, 10)), (6, (6, 5)), (1, (1, 1))])
def test_a_limit_keeps_the_aspect_ratio(paths, limit, expected):
    assert common_size(paths, limit=limit) == expected


def test_a_header_is_read_again_only_after_a_change(tmp_path, monkeypatch):
    probed = []
    monkeypatch.setattr(_store, "probe_size", lambda path: probed.append(path) or probe_size(path))
    monkeypatch.setattr(
        _store, "time_ns", lambda: time_ns() + 10 * 10**9
    )  # what was just written has settled
    path = str(tmp_path / "patch.png")
    for side in (9, 30):  # files of other lengths
        encode_png(np.random.RandomState(0).randint(0, 256, (side, side, 3)).astype(np.uint8), path)
        assert common_size([path]) == common_size([path]) == (side, side)
    assert len(probed) == 2


def test_a_header_just_written_is_not_remembered(paths, monkeypatch):
    probed = []
    monkeypatch.setattr(_store, "probe_size", lambda path: probed.append(path) or probe_size(path))
    for _ in range(2):
        assert common_size(paths[:1]) == (12, 10)
    assert len(probed) == 2


def test_few_headers_are_read_of_many_files(paths, monkeypatch):
    probed = []
    monkeypatch.setattr(_store, "probe_size", lambda path: probed.append(path) or (5, 5))
    assert common_size([f"{number}.png" for number in range(100_000)]) == (5, 5)
    assert len(probed) == 1000
    assert probed[-1] == "99999.png"


def test_bad_headers_count_only_if_there_is_no_good_one(paths, bad_files):
    assert common_size([*bad_files, *paths]) == (12, 10)
    missing = ["missing1.png", "missing2.png"]
    with pytest.raises(ImageReadError, match="Cannot read 2 of 2 image files"):
        common_size(missing)
    with pytest.raises(InputContractError, match="at least one image path"):
        common_size([])
