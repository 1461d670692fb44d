"""Random streams of our own, so that a fit neither reads nor moves anybody else's."""

from numbers import Integral
from typing import Any

import numpy as np


def make_generator(random_state: Any, n_earlier: int = 0) -> np.random.Generator:
    """Start a generator from scikit-learn's kind of `random_state`.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        An int always gives the same stream. A RandomState gives, and is advanced by, one draw. None takes
        fresh entropy from the operating system; unlike elsewhere in scikit-learn it does not draw from the
        global ``numpy.random``, whose state a fit must leave alone.
    n_earlier : int, default=0
        How often the same seed was used before for the same model, so that going on does not repeat it.

    Returns
    -------
    generator : numpy.random.Generator
    """
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, Integral):
        return np.random.default_rng([int(random_state), n_earlier])
    return np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))


def draw_seed(generator: np.random.Generator) -> int:
    """Draw a seed that every library accepts: a positive 31-bit integer."""
    return int(generator.integers(1, np.iinfo(np.int32).max))
