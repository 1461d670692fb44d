"""The three mistakes of the notebook that histoclf began with: each is called out by name."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, train_test_split

from histoclf import assert_no_leakage, audit_cv, make_patches
from histoclf.exceptions import InputContractError, LeakageError
from tests.tiny import textures, tiny_cnn

MADE = make_patches(n_patients=6, patches_per_patient=10, image_size=48, random_state=0)
X, y = MADE.images, np.asarray(MADE.labels)


def oversampled():
    """As the notebook did it: copies of the rarer class, before anything is split."""
    classes, counts = np.unique(y, return_counts=True)
    rare = np.flatnonzero(y == classes[counts.argmin()])
    more = np.random.default_rng(0).choice(rare, 20)
    return np.concatenate([X, X[more]]), np.concatenate([y, y[more]])


def test_doubled_scaling_is_refused_by_fit():
    scaled = X / 255.0
    with pytest.raises(InputContractError, match="scaled twice"):
        tiny_cnn().fit(scaled / 255.0, y)


def test_unscaled_test_data_are_refused_by_predict():
    images, labels = textures()
    fitted = tiny_cnn().fit(images / 255.0, labels)
    with pytest.raises(InputContractError, match="fit saw"):
        fitted.predict(images.astype(float))


def test_oversampling_before_the_split_is_found_by_the_audit():
    more, labels = oversampled()
    train, test = train_test_split(np.arange(len(more)), test_size=0.3, stratify=labels, random_state=0)
    with pytest.raises(LeakageError, match="Exact copies"):
        assert_no_leakage(more[train], more[test])
    assert not audit_cv(StratifiedKFold(5), more, labels).ok
