"""Only what was used last is kept."""

import pytest

from histoclf.networks._recent import Recent


def test_a_value_is_made_once_and_the_one_unused_for_longest_goes():
    made = []
    recent = Recent(2)

    def fetch(key):
        return recent.fetch(key, lambda: made.append(key) or key.upper())

    assert [fetch(key) for key in "abaca"] == ["A", "B", "A", "C", "A"]
    assert made == ["a", "b", "c"]
    assert list(recent) == ["c", "a"]


def test_what_could_not_be_made_is_not_there():
    recent = Recent(1)
    with pytest.raises(ZeroDivisionError):
        recent.fetch("a", lambda: 1 // 0)
    assert not recent
    assert recent.fetch("a", lambda: 1) == 1
