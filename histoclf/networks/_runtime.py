"""Load TensorFlow within the thread budget of the process, and never use it after a fork."""

import os

import tensorflow as tf

_LOADED_IN = os.getpid()


def _share_threads() -> None:
    """Keep TensorFlow within OMP_NUM_THREADS, which joblib sets in its workers and TensorFlow ignores.

    Without this, each of `n_jobs` workers would start one thread per core. A process without that variable,
    one that chose TensorFlow's own variables, or one that already runs TensorFlow is left as it is.
    """
    budget = os.environ.get("OMP_NUM_THREADS", "")
    if not budget.isdigit() or int(budget) == 0 or "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    if tf.config.threading.get_intra_op_parallelism_threads():
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(int(budget))
        tf.config.threading.set_inter_op_parallelism_threads(int(budget))
    except RuntimeError:  # TensorFlow is already running: its threads can no longer be chosen
        pass


def refuse_after_fork() -> None:
    """Raise instead of hanging: TensorFlow's threads do not survive a fork."""
    if os.getpid() != _LOADED_IN:
        raise RuntimeError(
            "TensorFlow was loaded before this process was forked from its parent, and would hang here. "
            "Expected a fresh process: use joblib's default backend 'loky' (or 'threading') instead of "
            "'multiprocessing', or start processes with the 'spawn' method."
        )


_share_threads()
