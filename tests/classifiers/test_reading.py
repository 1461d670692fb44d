"""What X may be, and what is said when it is something else."""

import gc
import tempfile

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from histoclf import PixelScaler
from histoclf.exceptions import ImageReadError, InputContractError, SkippedImagesWarning
from histoclf.io import save_patches
from tests.tiny import textures, tiny_cnn

X, y = textures()
F = X.astype("float32")
GRAY = X[..., :1]


@pytest.fixture(scope="module")
def fitted():
    return tiny_cnn().fit(X, y)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return save_patches(X, y, np.full(len(y), "P1"), None, tmp_path_factory.mktemp("patches"))


# --- one model, however the pixels are written -------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        F,
        F / 255,
        X / 255.0,
        F / 127.5 - 1,
        X.astype(int),
        list(X),
    ],
    ids=["0-255", "0-1", "0-1 double", "-1-1", "int", "list of images"],
)
def test_every_way_to_write_pixels_gives_the_same_model_to_the_last_bit(fitted, given):
    clf = tiny_cnn().fit(given, y)
    np.testing.assert_array_equal(clf.predict_proba(given), fitted.predict_proba(X))


def test_files_give_the_model_of_their_pixels(fitted, paths):
    clf = tiny_cnn(early_stopping=False).fit(paths, y)
    np.testing.assert_array_equal(clf.predict_proba(paths), fitted.predict_proba(X))
    assert clf.image_shape_ == (16, 16, 3)
    np.testing.assert_array_equal(clf.predict_proba(X), fitted.predict_proba(X))


def test_flattened_images_give_the_model_of_the_images(fitted):
    flat = X.reshape(len(X), -1)
    clf = tiny_cnn(image_shape=(16, 16, 3)).fit(flat, y)
    np.testing.assert_array_equal(clf.predict_proba(flat), fitted.predict_proba(X))
    assert clf.n_features_in_ == 768


@pytest.mark.parametrize("mode", ["unit", "symmetric", "standard"])
def test_a_pixel_scaler_in_front_changes_nothing(fitted, mode):
    pipeline = make_pipeline(PixelScaler(mode), tiny_cnn()).fit(X, y)
    np.testing.assert_array_equal(pipeline.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("mode", ["unit", "symmetric", "standard"])
def test_a_pixel_scaler_in_front_of_images_without_white_changes_little(mode):
    dim = (X * 0.8).astype("uint8")
    plain, scaled = tiny_cnn().fit(dim, y), make_pipeline(PixelScaler(mode), tiny_cnn()).fit(dim, y)
    assert np.mean(plain.predict(dim) == scaled.predict(dim)) > 0.9


def test_a_scaler_of_columns_in_front_of_rows_works():
    flat = X.reshape(len(X), -1)
    pipeline = make_pipeline(MinMaxScaler(), tiny_cnn(image_shape=(16, 16, 3))).fit(flat[1:], y[1:])
    assert pipeline[-1].input_format_.contract.units == "standardized"
    assert pipeline.predict_proba(flat).shape == (64, 2)  # the row left out is beyond the range of the others


def test_gray_images_are_accepted():
    clf = tiny_cnn().fit(GRAY, y)
    assert clf.image_shape_ == (16, 16, 1)
    assert clf.score(GRAY, y) > 0.8


def test_large_images_are_shrunk_to_a_stated_size():
    large = X.repeat(8, axis=1).repeat(8, axis=2)[:16]
    clf = tiny_cnn(image_size=16, epochs=8).fit(large, y[:16])
    assert clf.image_shape_ == (16, 16, 3)
    assert clf.predict_proba(large).shape == (16, 2)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("scale", [1, 255])
def test_a_single_black_or_white_patch_is_answered(value, scale):
    clf = tiny_cnn(epochs=3).fit(F / scale, y)
    assert clf.predict_proba(np.full((1, 16, 16, 3), value / scale)).shape == (1, 2)


def test_verbose_says_what_was_understood(capsys):
    tiny_cnn(verbose=1, early_stopping=True).fit(F / 255, y, groups=np.arange(64) // 8)
    said = capsys.readouterr().out
    assert "X: images, values 0-1 (8-bit); the network sees 16 x 16 pixels, 3 channels" in said
    assert "held out by patient (from groups)" in said


# --- contradictions between fit and predict ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (F / 255, r"\(0-1\), but fit saw 0-255.*delete the line"),
        (F / 127.5 - 1, r"\(-1-1\), but fit saw 0-255"),
        (F / 255 / 255, r"fit saw 0-255"),
        (F / 255 * 0.97, r"\(0-1\), but fit saw 0-255"),  # off the grid of 8 bits, as resized images are
        (GRAY, r"X has 1 channel\(s\), but fit saw 3.*np\.repeat"),
        (X[:, :8], r"images of 8 x 16 pixels, but fit saw 16 x 16"),
        (X[0], r"for a single image X\[None\]"),
        (X.reshape(len(X), -1), r"got X with 2 dimension\(s\)"),
    ],
)
def test_predicting_on_something_else_than_fit_saw_is_refused(fitted, given, message):
    with pytest.raises(InputContractError, match=message):
        fitted.predict(given)


def test_files_for_a_model_of_gray_images_are_refused(paths):
    clf = tiny_cnn().fit(GRAY, y)
    with pytest.raises(InputContractError, match="X holds image paths, but fit saw images with 1 channel"):
        clf.predict(paths)


def test_images_for_a_model_of_rows_are_refused():
    clf = tiny_cnn(image_shape=(16, 16, 3)).fit(X.reshape(len(X), -1), y)
    with pytest.raises(InputContractError, match=r"fit saw a 2-D X.*reshape\(len\(X\), -1\)"):
        clf.predict(X)


# --- what is no X at all -----------------------------------------------------------------------------------


def with_value(value):
    spoilt = F.copy()
    spoilt[3, 2, 1, 0] = value
    return spoilt


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (with_value(np.nan), "Input X contains NaN"),
        (with_value(np.inf), "Input X contains infinity"),
        (F / 255 / 255, r"scaled twice.*delete one of the two lines"),
        (np.moveaxis(X, -1, 1), r"channels come last: np\.moveaxis\(X, 1, -1\)"),
        (X[..., [0, 1, 2, 0]], r"4 channels are neither gray nor RGB; drop alpha with X\[\.\.\., :3\]"),
        (X[..., 0], r"for gray images X\[\.\.\., None\]"),
        (X[None], "stack images along the first axis only"),
        ([X[0], X[1, :8]] * 32, "images of 2 different sizes"),
        ("slide.png", r"single path 'slide\.png', expected a list of paths"),
        (["a.png", 3] * 32, "mixes image paths with 32 other values"),
        (X.astype("uint16") * 257, "divided by 257 first"),
    ],
)
def test_a_bad_x_is_refused_with_a_cure(given, message):
    with pytest.raises(ValueError, match=message):
        tiny_cnn().fit(given, y)


@pytest.mark.parametrize("empty", [X[:0], np.empty((0, 3)), []])
def test_an_empty_x_is_refused(empty):
    with pytest.raises(ValueError, match=r"X is empty: 0 sample\(s\)"):
        tiny_cnn().fit(empty, [])


def test_a_mixed_bag_is_refused():
    mixed = F.copy()
    mixed[5] /= 255
    with pytest.raises(InputContractError, match=r"mixed bag: 1 images are in 0-1 \(rows \[5\]\)"):
        tiny_cnn().fit(mixed, y)


def test_an_image_shape_that_does_not_fit_is_refused():
    with pytest.raises(InputContractError, match=r"image_shape=\(8, 8, 3\) has 192 values, but X has 768"):
        tiny_cnn(image_shape=(8, 8, 3)).fit(X.reshape(len(X), -1), y)


@pytest.mark.parametrize("size", [(16,), (16, 0), (16, 16, 3), ("a", "b")])
def test_an_image_size_that_is_none_is_refused(size, paths):
    with pytest.raises(ValueError, match=r"image_size=.*expected a positive number of pixels"):
        tiny_cnn(image_size=size).fit(paths, y)


def test_an_unfitted_model_says_so():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        tiny_cnn().predict(X)


# --- files that cannot be read -----------------------------------------------------------------------------


@pytest.fixture
def spoilt(paths, tmp_path):
    broken, missing = tmp_path / "broken.png", tmp_path / "missing.png"
    broken.write_bytes(b"not an image")
    return np.array([*paths[:2], str(broken), *paths[3:7], str(missing), *paths[8:]], dtype=object)


def test_all_unreadable_files_are_named(spoilt):
    with pytest.raises(ImageReadError, match=r"(?s)broken\.png.*missing\.png"):
        tiny_cnn(image_size=16).fit(spoilt, y)


def test_unreadable_files_can_be_skipped_and_are_counted(spoilt):
    with pytest.warns(SkippedImagesWarning, match="2"):
        clf = tiny_cnn(image_size=16, on_error="skip", early_stopping=True, epochs=8).fit(
            spoilt, y, sample_weight=np.ones(len(y)), groups=np.arange(64) // 8
        )
    assert clf.n_skipped_ == 2
    assert not {2, 7} & set(clf.validation_indices_)
    kept = np.delete(np.arange(len(y)), [2, 7])
    assert np.mean(clf.predict(spoilt[kept]) == y[kept]) > 0.9


def test_prediction_never_skips(spoilt, paths):
    clf = tiny_cnn(on_error="skip").fit(paths, y)
    with pytest.raises(ImageReadError, match=r"broken\.png"):
        clf.predict(spoilt)


def test_files_beyond_the_memory_budget_leave_nothing_behind(paths, fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with config_context(working_memory=0):
        clf = tiny_cnn().fit(paths, y)
        np.testing.assert_array_equal(clf.predict_proba(paths), fitted.predict_proba(X))
    gc.collect()
    assert list(tmp_path.iterdir()) == []
