"""Load TensorFlow within the thread budget of the process, and never use it after a fork."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

_LOADED_IN = os.getpid()


def thread_budget() -> int:
    """Return the number of threads joblib granted this process in OMP_NUM_THREADS; 0 if none."""
    budget = os.environ.get("OMP_NUM_THREADS", "")
    return int(budget) if budget.isdigit() else 0


def on_gpu() -> bool:
    """Whether TensorFlow computes on a GPU."""
    return len(keras.distribution.list_devices("gpu")) > 0


def _share_threads() -> None:
    """Keep TensorFlow within OMP_NUM_THREADS, which joblib sets in its workers and TensorFlow ignores.

    Without this, each of `n_jobs` workers would start one thread per core. A process without that variable,
    one that chose TensorFlow's own variables, or one that already runs TensorFlow is left as it is.
    """
    budget = thread_budget()
    if budget == 0 or "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    if tf.config.threading.get_intra_op_parallelism_threads():
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(budget)
        tf.config.threading.set_inter_op_parallelism_threads(budget)
    except RuntimeError:  # TensorFlow is already running: its threads can no longer be chosen
        pass


@contextmanager
def python_random_kept() -> Iterator[None]:
    """Give back Python's global random stream, from which Keras seeds its layers."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def fresh_names() -> Iterator[None]:
    """Let Keras count its names (``conv2d_1``) from the start: what is built twice is then the same twice."""
    counts = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", counts)


def refuse_after_fork() -> None:
    """Raise instead of hanging: TensorFlow's threads do not survive a fork."""
    if os.getpid() != _LOADED_IN:
        raise RuntimeError(
            "TensorFlow was loaded before this process was forked from its parent, and would hang here. "
            "Expected a fresh process: use joblib's default backend 'loky' (or 'threading') instead of "
            "'multiprocessing', or start processes with the 'spawn' method."
        )


_share_threads()
