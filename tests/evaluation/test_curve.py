import pytest

from histoclf.evaluation import CurvePoint
from histoclf.evaluation._curve import advise


def point(kind, share, gain, interval):
    return CurvePoint(kind, share, 6, 60, 0.8, 0.9, 0.9, gain, interval)


@pytest.mark.parametrize(
    ("gain", "interval", "words"),
    [
        (
            0.03,
            (0.01, 0.05),
            "more patients should help: from half of them to all, the score changes by +3.0",
        ),
        (0.03, (-0.01, 0.07), "it does not show that more patients would help"),
        (-0.02, (-0.05, 0.01), "the score changes by -2.0 points (95 % interval -5.0 to +1.0)"),
    ],
)
def test_more_is_advised_only_beyond_the_spread(gain, interval, words):
    points = [point("patients", 0.25, 0.2, (0.1, 0.3)), point("patients", 0.5, gain, interval)]
    (said, *_) = advise(points, 0.8, 0.8, (0.75, 0.85))
    assert words in said


@pytest.mark.parametrize(
    ("training", "words"),
    [(0.95, "a bigger model is not what is missing"), (0.84, "a bigger model or other features may help")],
)
def test_the_model_is_judged_by_its_training_score(training, words):
    assert words in advise([], training, 0.8, (0.75, 0.85))[0]


def test_without_a_spread_nothing_is_advised():
    nan = float("nan")
    assert advise([], 0.9, 0.8, (nan, nan)) == ()
