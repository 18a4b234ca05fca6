"""Fits of a Dask frame on a local cluster: the same bits for any number of workers, and after one died."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from moestro import DataError, MoERegressor
from moestro.rows import held
from moestro.rows.sources import Mapped, Partitions
from test_cli import call, refuses

distributed = pytest.importorskip("distributed")
dd = pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
N = 26_000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    a = np.sort(rng.normal(size=N))
    first = rng.random(N) < 1 / (1 + np.exp(-2 * a))
    return {"a": a, "y": np.where(first, 1 + 2 * a, -1 - a) + 0.5 * rng.normal(size=N)}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(held, "SAMPLE", 24_100)
    monkeypatch.setattr(held, "BLOCK", 4096)


def fitted(source):
    return MoERegressor.from_formula("y ~ a", source, n_experts=2, n_starts=2, random_state=0, n_jobs=1)


def cluster(workers):
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    )


def test_any_number_of_workers_and_one_that_is_killed(data):
    memory = fitted(Mapped(data))
    ends = []
    for workers in (1, 2):
        with cluster(workers) as local, distributed.Client(local) as client:
            frame = dd.from_pandas(pd.DataFrame(data), npartitions=5)
            ends.append(fitted(Partitions(frame, client)))
            if workers == 2:
                sent = Partitions(frame, client)
                pid = client.run(os.getpid)
                killer = threading.Thread(target=_kill_once, args=(sent, next(iter(pid.values()))))
                killer.start()
                ends.append(fitted(sent))
                killer.join()
                with pytest.raises(ProcessLookupError):
                    os.kill(next(iter(pid.values())), 0)
    for other in ends[1:]:
        np.testing.assert_array_equal(other.fit_.theta, ends[0].fit_.theta)
        assert other.log_likelihood_ == ends[0].log_likelihood_
    assert ends[0].log_likelihood_ == pytest.approx(memory.log_likelihood_, rel=1e-12)


def _kill_once(sent, pid):
    """Kill a worker once the partitions are pinned on it."""
    while not sent._pins:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


def test_without_a_client(data):
    frame = dd.from_pandas(pd.DataFrame(data), npartitions=2)
    with pytest.raises(DataError, match=r"make a distributed.Client first"):
        fitted(frame)


def test_refits_run_on_the_workers(data):
    joblib = pytest.importorskip("joblib")
    x, y = data["a"][:500, None], data["y"][:500]
    moe = MoERegressor(2, n_starts=2, random_state=0, n_jobs=1).fit(x, y)
    with cluster(2) as local, distributed.Client(local), joblib.parallel_config("dask"):
        found = moe.inference("bootstrap", n_bootstrap=8, random_state=0)
    assert found["std_error"] == moe.inference("bootstrap", n_bootstrap=8, random_state=0)["std_error"]


def test_studies_run_on_the_workers(tmp_path):
    words = ("study", "run", "approximation", "--quiet")
    with cluster(2) as local:
        there = call(*words, "--out", tmp_path / "there", "--cluster", local.scheduler_address)
        assert there.exit_code == 0, there.output
        again = call(
            *words, "--out", tmp_path / "there", "--cluster", local.scheduler_address
        )  # nothing is left
        assert again.exit_code == 0, again.output
        refuses(
            *words, "--cluster", local.scheduler_address, "--processes", "2", match="--processes is of this"
        )
    here = call(*words, "--out", tmp_path / "here", "--processes", "1")
    assert here.exit_code == 0, here.output
    one, other = (tmp_path / name / "fits.parquet" for name in ("there", "here"))
    assert one.read_bytes() == other.read_bytes()
    refuses(*words, "--cluster", "tcp://127.0.0.1:9", match="tcp://127.0.0.1:9: no scheduler of Dask answers")


def test_the_block_of_the_page(tmp_path, monkeypatch):
    """What docs/large.md shows of a cluster."""
    pytest.importorskip("formulaic")
    page = (Path(__file__).parents[1] / "docs/large.md").read_text("utf-8")
    block = next(b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "distributed" in b)
    rng = np.random.default_rng(0)
    rides = pd.DataFrame({"km": rng.uniform(1, 9, 300), "hour": rng.uniform(0, 24, 300)})
    rides["minutes"] = np.where(rng.random(300) < 0.5, 2.0, 4.0) * rides["km"] + rng.standard_normal(300)
    (tmp_path / "rides").mkdir()
    rides.to_parquet(tmp_path / "rides/1.parquet")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block, names)
    assert names["moe"].n_experts_ == 3
