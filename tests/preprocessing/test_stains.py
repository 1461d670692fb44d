"""StainNormalizer."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from histoclf.datasets import make_patches
from histoclf.exceptions import InputContractError
from histoclf.preprocessing._scaling import PixelScaler
from histoclf.preprocessing._stains import StainNormalizer

METHODS = ["macenko", "reinhard"]
LEARNED = {"macenko": ("stain_matrix_", "max_concentrations_"), "reinhard": ("means_", "stds_")}
each_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module")
def images():
    return make_patches(n_patients=4, patches_per_patient=5, random_state=0).images


@parametrize_with_checks([StainNormalizer("macenko"), StainNormalizer("reinhard")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# --- images ------------------------------------------------------------------------------------------------


def colours(images):
    return images.reshape(len(images), -1, 3).mean(axis=1)


@each_method
def test_colours_of_two_laboratories_come_closer(images, method):
    other = 255 * (images / 255) ** np.array([1.5, 0.8, 1.2])  # another mix of stains
    normalizer = StainNormalizer(method).fit(images)
    before = np.abs(colours(images) - colours(other)).mean()
    after = np.abs(colours(normalizer.transform(images)) - colours(normalizer.transform(other))).mean()
    assert after < before / 2


@each_method
def test_the_reference_stays_as_it_is(images, method):
    out = StainNormalizer(method, reference=images[0]).fit(images).transform(images[:1])
    # Macenko knows two stains, and what is neither is left out.
    assert np.abs(out.astype(int) - images[:1]).mean() < (4 if method == "macenko" else 0.01)


@each_method
def test_a_reference_of_any_size_and_number(images, method):
    one = StainNormalizer(method, reference=images[0, :30]).fit(images)
    several = StainNormalizer(method, reference=images).fit(images[:3])
    none = StainNormalizer(method).fit(images)
    for name in LEARNED[method]:
        assert np.isfinite(getattr(one, name)).all()
        np.testing.assert_array_equal(getattr(several, name), getattr(none, name))


@each_method
def test_odd_images_do_not_move_the_reference(images, method):
    blank = np.full((8, *images.shape[1:]), 255, dtype=np.uint8)
    clean, mixed = (StainNormalizer(method).fit(X) for X in (images, np.concatenate([images, blank])))
    for name in LEARNED[method]:
        np.testing.assert_allclose(getattr(mixed, name), getattr(clean, name), rtol=1e-5)


@each_method
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_any_type_in_uint8_out(images, method, dtype):
    X = images.astype(dtype)
    before = X.copy()
    normalizer = StainNormalizer(method).fit(X)
    out = normalizer.transform(X)
    assert out.dtype == np.uint8
    assert out.shape == images.shape
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(out, StainNormalizer(method).fit_transform(images))


@each_method
def test_flattened_images_are_images(images, method):
    rows = images.reshape(len(images), -1)
    normalizer = StainNormalizer(method, image_shape=images.shape[1:]).fit(rows)
    expected = StainNormalizer(method).fit_transform(images)
    np.testing.assert_array_equal(normalizer.transform(rows), expected.reshape(rows.shape))
    table = normalizer.set_output(transform="pandas").transform(rows)
    assert table.columns.tolist() == normalizer.get_feature_names_out().tolist()
    assert (table.dtypes == np.uint8).all()


@each_method
def test_images_without_stains_are_returned_unchanged(images, method):
    odd = np.zeros((4, *images.shape[1:]), dtype=np.uint8)
    odd[1], odd[2] = 255, [200, 120, 160]
    odd[3] = np.arange(images.shape[1])[:, np.newaxis, np.newaxis] * 4  # gray
    out = StainNormalizer(method).fit(images).transform(np.concatenate([odd, images]))
    np.testing.assert_array_equal(out[:4], odd)
    assert (out[4:] != images).any()


@each_method
def test_noise_is_no_trouble(images, method):
    noise = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    assert StainNormalizer(method).fit(images).transform(noise).shape == noise.shape


@each_method
def test_an_image_does_not_depend_on_its_neighbours(images, method):
    normalizer = StainNormalizer(method).fit(images)
    together = normalizer.transform(np.concatenate([images] * 3)).astype(int)
    alone = np.concatenate([normalizer.transform(image[np.newaxis]) for image in images])
    assert np.abs(together[-20:] - alone).max() <= 1  # sums in another order may round the other way


@each_method
def test_clone_and_pickle(images, method):
    normalizer = StainNormalizer(method, reference=images[0])
    expected = normalizer.fit(images).transform(images)
    np.testing.assert_array_equal(clone(normalizer).fit(images).transform(images), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(normalizer)).transform(images), expected)


@each_method
def test_no_float_copy_of_all_images(images, method):
    X = np.concatenate([images] * 20)
    normalizer = StainNormalizer(method)
    tracemalloc.start()
    normalizer.fit(X).transform(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes + 16e6  # the output, and one block at work


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: X / 255, "already scaled. Stains can only be told in pixels: delete the scaling in front"),
        (lambda X: X[..., :1], r"needs RGB images, got 1 channel\(s\): leave StainNormalizer out"),
        (lambda X: np.concatenate([X, X[..., :1]], axis=3), r"got 4 channel\(s\): drop alpha"),
        (lambda X: np.moveaxis(X, -1, 1), "channels in the last place"),
        (lambda X: X.reshape(len(X), -1), r"looks like flattened images.*image_shape=\(height, width, 3\)"),
        (lambda X: X.reshape(len(X), -1).astype(float), "looks like flattened images"),
        (lambda X: np.array(["a.png"]), "looks like a list of paths: put an ImageLoader"),
        (lambda X: np.full_like(X, 255), "None of the 20 images in X shows its stains"),
        (lambda X: np.where(X > 9, np.nan, X), "NaN or infinity in 20 of 20 rows"),
    ],
)
def test_wrong_images(images, spoil, message):
    with pytest.raises(InputContractError, match=message):
        StainNormalizer().fit(spoil(images))


def test_a_scaler_in_front(images):
    with pytest.raises(InputContractError, match="a PixelScaler"):
        make_pipeline(PixelScaler(), StainNormalizer()).fit(images)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (np.zeros((5, 5)), r"reference must be one image of shape \(height, width, 3\).*\(5, 5\)"),
        (np.full((5, 5, 3), 0.5), "reference is no image to learn from.*already scaled"),
        (np.full((5, 5, 3), 255), "None of the 1 images in reference shows its stains"),
    ],
)
def test_wrong_references(images, reference, message):
    with pytest.raises(InputContractError, match=message):
        StainNormalizer(reference=reference).fit(images)


def test_another_size_at_transform(images):
    with pytest.raises(InputContractError, match="but StainNormalizer was fitted on"):
        StainNormalizer().fit(images).transform(images[:, :20])


@pytest.mark.parametrize(
    "params", [{"method": "vahadane"}, {"light": 0.0}, {"threshold": 0.0}, {"angle_percentile": 50.0}]
)
def test_wrong_parameters(images, params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of StainNormalizer must be"):
        StainNormalizer(**params).fit(images)


# --- plain tables ------------------------------------------------------------------------------------------


def test_a_table_comes_back_as_a_copy():
    X = np.random.default_rng(0).normal(size=(5, 4))
    normalizer = StainNormalizer().fit(X)
    out = normalizer.transform(X)
    np.testing.assert_array_equal(out, X)
    assert not np.shares_memory(out, X)
    assert normalizer.image_shape_ is None


def test_names_of_columns():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]}, index=["p", "q"])
    out = StainNormalizer().set_output(transform="pandas").fit_transform(X)
    pd.testing.assert_frame_equal(out, X)
