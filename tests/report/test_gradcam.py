"""Maps of evidence over the patches."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from histoclf import GradCAMDisplay
from histoclf.classifiers._saliency import find_saliency
from tests.tiny import textures, tiny_transfer

X, Y = textures()


@pytest.fixture(scope="module")
def clf():
    return tiny_transfer().fit(X, Y)


def test_each_patch_is_shown_with_the_map_of_the_answer(clf):
    display = GradCAMDisplay.from_estimator(clf, X[:5], Y[:5])
    found = find_saliency(clf, X[:5])
    assert display.targets.tolist() == clf.predict(X[:5]).tolist()
    for row, name in enumerate(display.targets):
        code = clf.classes_.tolist().index(name)
        np.testing.assert_array_equal(display.evidence[row], found.evidence[row, ..., code])
        assert display.probabilities[row] == found.probabilities[row, code]
    used = [ax for ax in display.axes_.ravel() if ax.images]
    assert len(used) == 10
    np.testing.assert_array_equal(used[0].images[0].get_array(), X[0])
    assert used[0].get_title() == f"truth: {Y[0]}"
    assert used[1].get_title() == f"{display.targets[0]}: {display.probabilities[0]:.2f}"


def test_only_what_speaks_for_the_class_is_seen_unless_signed(clf):
    display = GradCAMDisplay.from_estimator(clf, X[:2], target="fine", ax=Figure().subplots(2, 2))
    assert display.targets.tolist() == ["fine", "fine"]
    overlay = display.axes_.ravel()[1].images[1]
    evidence = display.evidence[0]
    assert (evidence < 0).any()
    assert (overlay.get_alpha()[evidence < 0] == 0).all()
    signed = display.plot(Figure().subplots(2, 2), signed=True).axes_.ravel()[1].images[1]
    assert (signed.get_alpha()[evidence < 0] > 0).all()
    assert signed.norm.vmin == -signed.norm.vmax


def test_one_scale_serves_all_patches(clf):
    display = GradCAMDisplay.from_estimator(clf, X[:4])
    limits = {ax.images[1].norm.vmax for ax in display.axes_.ravel()[1::2] if len(ax.images) > 1}
    assert len(limits) == 1
    chosen = display.plot(vmax=3.0, cmap="viridis", n_columns=4)
    assert chosen.axes_.shape == (1, 8)
    assert chosen.axes_[0, 1].images[1].norm.vmax == 3.0
    assert chosen.axes_[0, 1].images[1].get_cmap().name == "viridis"


def test_a_patch_without_any_evidence_can_be_drawn():
    display = GradCAMDisplay(
        np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4)), np.array(["a"]), np.array([0.5])
    ).plot()
    assert (display.axes_[0, 1].images[1].get_alpha() == 0).all()


def test_too_many_patches_and_unknown_targets_are_refused(clf):
    with pytest.raises(ValueError, match=r"X has 128 patches.*at most 64.*X\[:16\]"):
        GradCAMDisplay.from_estimator(clf, np.concatenate([X, X]))
    with pytest.raises(
        ValueError, match=r"target='coarser' is no class. Expected one of \['coarse', 'fine'\]"
    ):
        GradCAMDisplay.from_estimator(clf, X[:1], target="coarser")
    with pytest.raises(ValueError, match="inconsistent numbers"):
        GradCAMDisplay.from_estimator(clf, X[:2], Y[:3])
