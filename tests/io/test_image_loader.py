"""ImageLoader as a transformer among scikit-learn's."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from histoclf.datasets import make_patches
from histoclf.exceptions import ImageReadError, InputContractError
from histoclf.io import ImageLoader, save_patches

# Scikit-learn's suite feeds tables of numbers, and says so of estimators that take none (as it does of its
# own text vectorizers). These are the checks in it that need no table.
CHECKS_WITHOUT_DATA = [
    checks.check_estimator_cloneable,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_estimator_repr,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_mixin_order,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Synthetic patches, and their ``paths`` on disk."""
    bunch = make_patches(n_patients=4, patches_per_patient=6, image_size=16, random_state=0)
    folder = tmp_path_factory.mktemp("patches")
    bunch.paths = save_patches(bunch.images, bunch.labels, bunch.groups, bunch.coords, folder)
    return bunch


def test_the_suite_knows_that_paths_are_no_table():
    with pytest.warns(SkipTestWarning, match="Can't test estimator ImageLoader"):
        applied = [check for _, check in estimator_checks_generator(ImageLoader())]
    assert [check.func.__name__ for check in applied] == ["check_estimator_cloneable"]
    for check in applied:
        check(ImageLoader())


@pytest.mark.parametrize("check", CHECKS_WITHOUT_DATA, ids=lambda check: check.__name__)
def test_checks_that_need_no_table(check):
    check("ImageLoader", ImageLoader(image_size=8))


def test_tags():
    tags = get_tags(ImageLoader())
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    assert tags.requires_fit
    assert not tags.target_tags.required


def test_paths_become_images(made):
    loader = ImageLoader()
    assert loader.fit(made.paths) is loader
    assert loader.image_size_ == (16, 16)
    assert loader.image_shape_ == (16, 16, 3)
    np.testing.assert_array_equal(loader.transform(made.paths), made.images)
    np.testing.assert_array_equal(ImageLoader().fit_transform(list(made.paths), made.labels), made.images)
    np.testing.assert_array_equal(ImageLoader().fit_transform(made.paths[:, np.newaxis]), made.images)


@pytest.mark.parametrize(("image_size", "expected"), [(8, (8, 8)), ((8, 12), (8, 12)), ([4, 5], (4, 5))])
def test_image_size(made, image_size, expected):
    loader = ImageLoader(image_size=image_size).fit(made.paths)
    assert loader.transform(made.paths[:2]).shape == (2, *expected, 3)


@pytest.mark.parametrize("image_size", [0, (8,), (8, 0), (8, 8, 3), "big", 3.5, (4.5, 4)])
def test_image_sizes_that_are_none(made, image_size):
    with pytest.raises(ValueError, match="image_size"):
        ImageLoader(image_size=image_size).fit(made.paths)


def test_flat_rows_have_names(made):
    loader = ImageLoader(image_size=(2, 3), flatten=True)
    rows = loader.fit_transform(made.paths)
    assert rows.shape == (24, 18)
    np.testing.assert_array_equal(
        rows.reshape(-1, *loader.image_shape_), ImageLoader(image_size=(2, 3)).fit_transform(made.paths)
    )
    names = loader.get_feature_names_out()
    assert names.shape == (18,)
    assert names[[0, 4, 17]].tolist() == ["row0_col0_red", "row0_col1_green", "row1_col2_blue"]
    assert not hasattr(ImageLoader(), "get_feature_names_out")


def test_flat_rows_can_be_a_frame(made):
    pytest.importorskip("pandas")
    frame = ImageLoader(image_size=2, flatten=True).set_output(transform="pandas").fit_transform(made.paths)
    assert frame.shape == (24, 12)
    assert frame.columns[0] == "row0_col0_red"


def test_it_must_be_fitted(made):
    with pytest.raises(NotFittedError):
        ImageLoader().transform(made.paths)
    with pytest.raises(NotFittedError):
        ImageLoader(flatten=True).get_feature_names_out()


@pytest.mark.parametrize("X", [np.zeros((3, 4)), [], [1, 2]])
def test_numbers_are_no_paths(X):
    with pytest.raises(InputContractError, match="ImageLoader expects image paths"):
        ImageLoader().fit(X)


def test_unreadable_files_are_all_named(made, bad_files):
    loader = ImageLoader().fit(made.paths)
    with pytest.raises(ImageReadError) as caught:
        loader.transform([*made.paths, *bad_files])
    assert set(caught.value.failures) == set(bad_files)


def test_it_is_cloned_and_pickled(made):
    loader = ImageLoader(image_size=8, n_jobs=1).fit(made.paths)
    assert clone(loader).get_params() == loader.get_params()
    again = pickle.loads(pickle.dumps(loader))
    np.testing.assert_array_equal(again.transform(made.paths), loader.transform(made.paths))


def test_a_grid_search_over_paths_in_two_processes(made):
    pipeline = make_pipeline(ImageLoader(flatten=True), StandardScaler(), LogisticRegression(max_iter=2000))
    scores = []
    for n_jobs in (1, 2):
        search = GridSearchCV(
            pipeline,
            {"imageloader__image_size": [2, 4]},
            cv=StratifiedGroupKFold(2),
            n_jobs=n_jobs,
            error_score="raise",
        )
        search.fit(made.paths, made.labels, groups=made.groups)
        scores.append(search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)
