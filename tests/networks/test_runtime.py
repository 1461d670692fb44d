"""Threads and forks."""

import os
import random
import subprocess
import sys

import keras
import pytest

from histoclf.networks import _runtime

_FORK = """
import multiprocessing, numpy as np
from tests.tiny import textures, tiny_cnn

X, y = textures(32)
clf = tiny_cnn().fit(X, y)

def child(queue):
    try:
        clf.predict_proba(X)
    except RuntimeError as error:
        queue.put(str(error))

context = multiprocessing.get_context("fork")
queue = context.Queue()
process = context.Process(target=child, args=(queue,))
process.start()
print(queue.get(timeout=60))
process.join(60)
"""


def threads(env, **more):
    script = (
        "import histoclf.networks._runtime, tensorflow as tf; "
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    clean = {name: value for name, value in env.items() if name not in ("OMP_NUM_THREADS", *more)}
    command = [sys.executable, "-c", script]
    return int(subprocess.run(command, env=clean | more, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "0"}, 0),
        ({"OMP_NUM_THREADS": "many"}, 0),
        ({"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "2"}, 0),
    ],
)
def test_tensorflow_keeps_within_the_threads_that_joblib_allows(child_env, variables, expected):
    assert threads(child_env, **variables) == expected


@pytest.mark.parametrize(("stated", "budget"), [("3", 3), ("", 0), ("many", 0), (None, 0)])
def test_the_thread_budget_is_what_joblib_states(monkeypatch, stated, budget):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if stated is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", stated)
    assert _runtime.thread_budget() == budget


def test_python_s_stream_is_given_back_even_after_an_error():
    random.seed(1)
    state = random.getstate()
    with pytest.raises(ValueError, match="empty range"), _runtime.python_random_kept():
        random.randrange(0 * random.getrandbits(1))
    assert random.getstate() == state


def test_names_start_afresh_and_go_on_afterwards():
    class Probe(keras.layers.Layer):
        pass

    outside = [Probe().name for _ in range(2)]
    inside = []
    for _ in range(2):
        with _runtime.fresh_names():
            inside.append([Probe().name for _ in range(2)])
    assert inside == [["probe", "probe_1"], ["probe", "probe_1"]]
    assert Probe().name == "probe_2"
    assert outside == ["probe", "probe_1"]


def test_a_fork_is_refused_instead_of_hanging(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError, match=r"'loky'.*'spawn'"):
        _runtime.refuse_after_fork()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_real_fork_after_tensorflow_is_refused(child_env):
    command = [sys.executable, "-c", _FORK]
    done = subprocess.run(command, env=child_env, check=True, capture_output=True, text=True, timeout=120)
    assert "TensorFlow was loaded before this process was forked" in done.stdout
