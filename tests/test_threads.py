"""Fits and predictions at once: the same numbers, nothing left behind, and BLAS as it was."""

import multiprocessing
import os
import signal
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from conftest import two_lines
from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor
from moestro.threads import one_blas_thread, thread_count


def blas():
    return [(p["filepath"], p["num_threads"]) for p in threadpool_info() if p["user_api"] == "blas"]


def kinds():
    x, y = two_lines(120)
    return [
        (MoERegressor(2, n_starts=3, random_state=0, n_jobs=2), x, y),
        (MoEClassifier(2, n_starts=3, random_state=0, n_jobs=2), x, (y > np.median(y)).astype(int)),
        (LocatedMoERegressor(2, n_starts=3, random_state=0, n_jobs=2), x, y),
        (MoERegressor(2, gate="sigmoid", n_starts=2, random_state=0), x, y),
    ]


def test_fits_and_predictions_at_once():
    """Four threads fit, two predict with an estimator that all share; each says what it says alone."""
    alone = [model.fit(x, y) for model, x, y in kinds()]
    shared, x, y = alone[0], *two_lines(120)
    expected = shared.predict(x), shared.responsibilities(x, y)

    def fit(i):
        model, x, y = kinds()[i % 4]
        return model.fit(x, y).log_likelihood_

    def predict(_):
        return shared.predict(x), shared.responsibilities(x, y)

    with threadpool_limits(3, user_api="blas"):
        before = blas()
        with ThreadPoolExecutor(6) as pool:
            fits, said = [pool.submit(fit, i) for i in range(8)], [pool.submit(predict, i) for i in range(30)]
            found = [f.result() for f in fits]
            predicted = [f.result() for f in said]
        assert blas() == before
    assert found == [m.log_likelihood_ for m in alone] * 2
    for a in predicted:
        np.testing.assert_array_equal(a[0], expected[0])
        np.testing.assert_array_equal(a[1], expected[1])


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a lock")
def test_a_python_without_a_lock_stays_without():
    """The core declares that it needs none: else Python takes it again where the core is imported."""
    model, x, y = kinds()[0]
    model.fit(x, y)
    assert not sys._is_gil_enabled()


def test_an_estimator_that_two_threads_fit_ends_as_one_of_them():
    model, x, y = kinds()[0]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda sign: model.fit(x, sign * y), [1, -1] * 4))
    ends = [clone(model).fit(x, sign * y).predict(x) for sign in (1, -1)]
    assert any(np.array_equal(model.predict(x), end) for end in ends)


def test_the_limit_of_blas_ends_with_its_last_user():
    with threadpool_limits(3, user_api="blas"):
        before = blas()
        outer, inner = one_blas_thread(), one_blas_thread()
        outer.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)  # not in the order in which they came, as threads do
        assert all(n == 1 for _, n in blas())
        inner.__exit__(None, None, None)
        assert blas() == before
        with pytest.raises(ValueError, match="inside"), one_blas_thread():
            raise ValueError("inside")
        assert blas() == before


def _in_a_child(pipe):
    model, x, y = kinds()[0]
    pipe.send((model.fit(x, y).log_likelihood_, [n for _, n in blas()]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings(
    "ignore:This process"
)  # CPython 3.12 says that forks of threaded processes are risky
def test_a_fork_after_use_and_during_it():
    model, x, y = kinds()[0]
    expected = model.fit(x, y).log_likelihood_
    with threadpool_limits(2, user_api="blas"), one_blas_thread():  # as if another thread were fitting
        here, there = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=_in_a_child, args=(there,))
        child.start()
        assert here.poll(60), "the child hangs"
        value, after = here.recv()
        child.join(10)
    assert child.exitcode == 0
    assert value == expected and all(n == 2 for n in after)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_child_that_leaves_the_block_of_its_parent_has_a_limit_of_its_own():
    with threadpool_limits(3, user_api="blas"):
        before = blas()
        with one_blas_thread():
            child = os.fork()
        if child == 0:
            with one_blas_thread():
                inside = blas()
            os._exit(0 if all(n == 1 for _, n in inside) and blas() == before else 1)
        assert os.waitpid(child, 0)[1] == 0


def _in_a_worker(i):
    model, x, y = kinds()[i]
    return model.fit(x, y).log_likelihood_


def test_loky_workers():
    joblib = pytest.importorskip("joblib")
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(_in_a_worker)(i) for i in (0, 1))
    assert found == [_in_a_worker(i) for i in (0, 1)]


CODE = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
from moestro import MoERegressor
r = np.random.default_rng(0)
x = r.normal(size=(20_000, 4))
y = x[:, 0] * np.where(x[:, 1] > 0, 1, -1) + r.normal(size=len(x))
ended = threading.Event()
def fit():
    while not ended.is_set():
        MoERegressor(2, n_starts=2, random_state=0, n_jobs=2).fit(x, y)
threading.Thread(target=fit).start()
print("ready", flush=True)
try:
    {wait}
except KeyboardInterrupt:
    print("stopped", flush=True)
ended.set()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
# A signal between Python's last look and the system's wait is lost on it: the wait of the main thread ends.
@pytest.mark.parametrize("wait", ["while not ended.wait(0.1): pass", "fit()"])
def test_interrupt_while_another_thread_fits(wait):
    code = [sys.executable, "-c", CODE.format(wait=wait)]
    process = subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopped\n"
        took = time.monotonic() - sent
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (errors, process.returncode) == ("", 0)
    assert took < 2.0  # one second, and one more for a busy machine


def test_threads_that_the_environment_allows(monkeypatch):
    cores = thread_count(-1)
    for value in ("²", "", "0", "-1", "two", "1.5", "٣"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert thread_count(None) == cores
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert thread_count(None) == 1
