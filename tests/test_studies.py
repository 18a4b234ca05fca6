"""Studies: declared designs that run, stop anywhere, go on, and say what they found."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from moestro.cli import main
from moestro.errors import DataError, FileError
from moestro.studies import STUDIES, Arm, find_study, oracle, softmax_gaussian
from moestro.studies.design import log_sizes
from moestro.studies.later import later_sizes
from moestro.studies.report import command_of
from moestro.studies.runner import LINES, RESULT, read_rows, run_plan
from moestro.studies.slopes import slope

# One small plan a study: what a test can afford.
SMALL = {
    "softmax-multinomial": {"only": "regime 1, tanh", "sizes": (400,), "replicates": 1},
    "softmax-poisson": {"only": "slopes, tanh", "sizes": (400,), "replicates": 1},
    "softmax-gaussian": {"only": "K=2", "sizes": (200, 400), "replicates": 1},
    "gaussian-gate": {"only": "model 1, K=4", "sizes": (200, 400), "replicates": 2},
    "topk": {"only": "K=2", "sizes": (300,), "replicates": 1},
    "contaminated": {"only": "distinguishable", "sizes": (500, 1000), "replicates": 1},
    "glome": {"only": "well-specified, choice", "sizes": (300,), "replicates": 1},
    "blompe": {"only": "two of four", "sizes": (150,), "replicates": 1},
    "dendrogram": {"only": "clean", "sizes": (500,), "replicates": 1},
    "hyper-router": {"only": "sources: HyperRouter, frozen", "sizes": (2,), "replicates": 1},
    "oracle": {"only": "few", "sizes": (150,), "replicates": 1},
    "coverage": {"only": "poisson, right", "sizes": (200,), "replicates": 1},
    "bootstrap-test": {"only": "two apart", "sizes": (60,), "replicates": 1},
    "approximation": {"only": "Gaussian gate, two", "sizes": (1, 2), "replicates": 1},
}


def test_every_study_has_a_small_plan():
    assert set(SMALL) == set(STUDIES)


@pytest.mark.parametrize(("name", "protocol"), [(n, p) for n, s in STUDIES.items() for p in s.protocols])
class TestEveryStudy:
    def test_a_fit_says_what_it_is(self, name, protocol):
        study = find_study(name)
        for module, _ in study.needs:
            pytest.importorskip(module)
        plan = study.plan(protocol, "smoke", **SMALL[name])
        arm = plan.arms[0]
        n = arm.sizes[-1]
        row = study.fit(arm, protocol, n, plan.rng(arm, n, 0))
        assert {"log_likelihood", "iterations", "gradient", "status"} <= set(row)
        assert (set(study.lines) | set(study.columns)) & set(row) or study.table is not None
        json.dumps(row, allow_nan=False)
        assert study.fit(arm, protocol, n, plan.rng(arm, n, 0)) == row

    def test_designs_are_plain_data(self, name, protocol):
        for scale in find_study(name).scales:
            plan = find_study(name).plan(protocol, scale)
            arms = [Arm.from_dict(a) for a in json.loads(json.dumps(plan.to_dict()["arms"]))]
            assert find_study(name).plan(protocol, scale, arms=arms).digest == plan.digest

    def test_nonsense_is_refused(self, name, protocol):
        study = find_study(name)
        arm = study.plan(protocol, "smoke").arms[0]
        for wrong in (
            replace(arm, k=0),
            replace(arm, sizes=(100, 50)),
            replace(arm, replicates=0),
            replace(arm, options={**arm.options, "tempo": 3}),
        ):
            with pytest.raises(DataError):
                study.plan(protocol, "smoke", arms=[wrong])
        with pytest.raises(DataError, match="same name"):
            study.plan(protocol, "smoke", arms=[arm, arm])


def test_a_truth_must_be_a_measure_and_k_at_least_its_atoms():
    study = find_study("gaussian-gate")
    arm = study.plan("as_defined", "smoke").arms[0]
    with pytest.raises(DataError, match="sum to 1"):
        study.plan(
            "as_defined", "smoke", arms=[replace(arm, truth={**arm.truth, "weights": [0.5, 0.5, 0.5]})]
        )
    with pytest.raises(DataError, match="below the 3 atoms"):
        study.plan("as_defined", "smoke", arms=[replace(arm, k=2)])
    soft = find_study("softmax-gaussian")
    arm = soft.plan("as_defined", "smoke").arms[0]
    with pytest.raises(DataError, match="positive"):
        soft.plan("as_defined", "smoke", arms=[replace(arm, truth={**arm.truth, "variances": [0.1, -0.1]})])
    with pytest.raises(DataError, match="not a mixing measure"):
        soft.plan("as_defined", "smoke", arms=[replace(arm, truth={**arm.truth, "colour": [1]})])
    top = find_study("topk")
    arm = top.plan("as_defined", "smoke").arms[0]
    with pytest.raises(DataError, match="kept"):
        top.plan("as_defined", "smoke", arms=[replace(arm, options={**arm.options, "kept": 5})])
    with pytest.raises(DataError, match="no entry shape"):
        Arm.from_dict({"name": "a", "shape": 1})


def test_the_command_on_a_page_is_the_one_that_ran():
    for name, flags, words in (
        ("gaussian-gate", {}, "gaussian-gate --protocol as_defined --scale smoke"),
        ("gaussian-gate", {"only": "K=4", "sizes": (100, 200)}, "--arm"),
        ("contaminated", {"replicates": 7, "seed": 3}, "--replicates 7 --seed 3"),
    ):
        study = find_study(name)
        plan = study.plan("as_defined", "smoke", **flags)
        command = command_of(study, plan.to_dict())
        assert words in command
        parts = shlex.split(command)
        given = dict(zip(parts[4::2], parts[5::2], strict=True))
        sizes = tuple(int(v) for v in given["--sizes"].split(",")) if "--sizes" in given else None
        again = study.plan(
            given["--protocol"], given["--scale"], only=given.get("--arm"), sizes=sizes,
            replicates=int(given["--replicates"]) if "--replicates" in given else None,
            seed=int(given.get("--seed", 0)),
        )  # fmt: skip
        assert again.digest == plan.digest


def test_arms_without_a_common_name_of_their_own_are_a_file():
    study = find_study("softmax-gaussian")
    arms = study.plan("as_published", "paper").arms
    for chosen, words in ((arms[1:], "--design FILE"), (arms[:1], '--arm "K=2"'), (arms, "--scale paper")):
        design = {"protocol": "as_published", "scale": "paper", "seed": 0}
        plan = study.plan("as_published", "paper", arms=list(chosen))
        assert command_of(study, {**design, "arms": plan.to_dict()["arms"]}).endswith(words)


def test_slopes_of_a_power_law():
    rng = np.random.default_rng(0)
    n = np.repeat(log_sizes(100, 100_000, 12), 40).astype(float)
    values = 3.0 * n**-0.5 * np.exp(0.3 * rng.standard_normal(len(n)))
    for statistic in ("mean", "median"):
        found = slope(n, values, statistic)
        assert found.low < -0.5 < found.high
        assert found.high - found.low < 0.05
        assert found.exponent == pytest.approx(-0.5, abs=0.02)
    assert slope(n, np.full(len(n), np.nan)) is None
    exact = slope(n, 2 * n**-0.25)
    assert (exact.exponent, exact.constant) == pytest.approx((-0.25, 2.0))


def small_plan(replicates=2):
    study = find_study("gaussian-gate")
    return study, study.plan(
        "as_published", "smoke", only="model 1", sizes=(100, 200, 400), replicates=replicates
    )


class TestRunning:
    @pytest.fixture(autouse=True)
    def parquet(self):
        pytest.importorskip("pyarrow")

    def test_results_do_not_depend_on_processes_and_nothing_is_done_twice(self, tmp_path):
        study, plan = small_plan()
        run_plan(study, plan, tmp_path / "one", 1)
        run_plan(study, plan, tmp_path / "two", 2)
        assert (tmp_path / "one" / RESULT).read_bytes() == (tmp_path / "two" / RESULT).read_bytes()
        lines = (tmp_path / "one" / LINES).read_text().splitlines()
        assert len(lines) == len(plan.cells()) == 12
        made = [json.loads(line) for line in lines]  # a replicate of all arms and sizes, then the next
        assert [(row["replicate"], -row["n"]) for row in made] == sorted(
            (row["replicate"], -row["n"]) for row in made
        )
        stamp = (tmp_path / "one" / LINES).stat().st_mtime_ns
        told = []
        run_plan(study, plan, tmp_path / "one", 1, lambda done, total: told.append((done, total)))
        assert (tmp_path / "one" / LINES).stat().st_mtime_ns == stamp
        assert told == [(2800, 2800)]

    def test_a_half_written_line_is_cut_and_done_again(self, tmp_path):
        study, plan = small_plan()
        run_plan(study, plan, tmp_path / "a", 1)
        whole = (tmp_path / "a" / RESULT).read_bytes()
        path = tmp_path / "a" / LINES
        text = path.read_text()
        path.write_text(text[: len(text) - 40])
        assert len(read_rows(tmp_path / "a")) == 11
        run_plan(study, plan, tmp_path / "a", 1)
        assert (tmp_path / "a" / RESULT).read_bytes() == whole

    def test_killed_and_resumed(self, tmp_path):
        study, plan = small_plan(replicates=6)
        run_plan(study, plan, tmp_path / "whole", 1)
        command = [
            sys.executable, "-m", "moestro", "study", "run", "gaussian-gate", "--protocol", "as_published",
            "--arm", "model 1",
            "--sizes", "100,200,400", "--replicates", "6", "--out", str(tmp_path / "cut"), "--processes",
            "2", "--quiet",
        ]  # fmt: skip
        running = subprocess.Popen(command, start_new_session=True)
        path = tmp_path / "cut" / LINES
        deadline = time.time() + 60
        while time.time() < deadline and not (path.exists() and path.read_text().count("\n") > 5):
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert len(read_rows(tmp_path / "cut")) > 0
        subprocess.run(command, check=True)
        assert (tmp_path / "cut" / RESULT).read_bytes() == (tmp_path / "whole" / RESULT).read_bytes()
        assert len(path.read_text().splitlines()) == len(plan.cells())

    def test_another_design_is_refused_and_nothing_overwritten(self, tmp_path):
        study, plan = small_plan()
        run_plan(study, plan, tmp_path / "a", 1)
        before = (tmp_path / "a" / LINES).read_bytes()
        for other in (replace(plan, seed=1), replace(plan, protocol="as_defined")):
            with pytest.raises(FileError, match="another design"):
                run_plan(study, other, tmp_path / "a", 1)
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "notes.txt").write_text("mine")
        with pytest.raises(FileError, match="not empty"):
            run_plan(study, plan, tmp_path / "b", 1)
        assert (tmp_path / "a" / LINES).read_bytes() == before
        design = json.loads((tmp_path / "a" / "design.json").read_text())
        (tmp_path / "a" / "design.json").write_text(json.dumps({**design, "digest": "0", "version": "0.0"}))
        with pytest.raises(FileError, match="another version"):
            run_plan(study, plan, tmp_path / "a", 1)

    def test_one_run_a_folder(self, tmp_path):
        fcntl = pytest.importorskip("fcntl")
        study, plan = small_plan()
        run_plan(study, plan, tmp_path / "a", 1)
        with open(tmp_path / "a" / "running.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(FileError, match="another run"):
                run_plan(study, plan, tmp_path / "a", 1)

    def test_report(self, tmp_path):
        pytest.importorskip("matplotlib")
        import pyarrow.parquet as pq

        folder = str(tmp_path / "a")
        how = ["--protocol", "as_published", "--out", folder]
        cli = CliRunner()
        done = cli.invoke(
            main,
            ["study", "run", "gaussian-gate", *how, "--arm", "K=4", "--sizes", "100,300", "--processes", "1"],
        )
        assert done.exit_code == 0, done.output
        assert "-0.506" in done.output
        table = pq.read_table(tmp_path / "a" / RESULT).to_pydict()
        assert set(table["arm"]) == {"model 1, K=4", "model 2, K=4"}
        assert "seconds" not in table
        done = cli.invoke(main, ["study", "report", "gaussian-gate", *how])
        assert done.exit_code == 0, done.output
        page = (tmp_path / "a" / "report.md").read_text()
        assert "| model 1, K=4 | loss |" in page
        assert "12 of 12 fits" in page
        assert (tmp_path / "a" / "figure.png").stat().st_size > 10_000
        assert (tmp_path / "a" / "summary.csv").read_text().startswith("arm,n,fits,loss_mean,loss_median")

    def test_a_design_of_ones_own(self, tmp_path):
        cli = CliRunner()
        printed = cli.invoke(main, ["study", "design", "softmax-gaussian"])
        arms = json.loads(printed.output)[:1]
        arms[0] |= {"name": "mine", "sizes": [200, 400], "replicates": 1}
        path = tmp_path / "mine.json"
        path.write_text(json.dumps(arms))
        how = [
            "study",
            "run",
            "softmax-gaussian",
            "--design",
            str(path),
            "--out",
            str(tmp_path / "out"),
            "--processes",
            "1",
        ]
        done = cli.invoke(main, how)
        assert done.exit_code == 0, done.output
        assert {r["arm"] for r in read_rows(tmp_path / "out")} == {"mine"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nothing"], "there is no study"),
        (["run", "topk", "--sizes", "a,b"], "whole numbers"),
        (["run", "topk", "--sizes", str(10**30)], "at most 1e+15"),
        (["run", "topk", "--replicates", str(10**18)], "at most 1000000"),
        (["run", "topk", "--seed", "-1"], "at least 0"),
        (["run", "topk", "--arm", "K=99"], "no arm"),
        (["run", "approximation", "--protocol", "as_published"], "no protocol"),
        (["run", "topk", "--replicates", "0"], "replicates"),
        (["run", "topk", "--design", "/nowhere.json"], "cannot be read"),
        (["report", "topk", "--out", "/nowhere"], "holds no study results"),
    ],
)
def test_wrong_commands_are_refused_in_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["study", *arguments])
    assert done.exit_code == 2
    assert words in done.output
    assert done.output.count("\n") <= 4


def test_list_names_every_study():
    done = CliRunner().invoke(main, ["study", "list"])
    assert done.exit_code == 0
    assert all(name in done.output for name in STUDIES)


def test_the_slope_of_the_published_figure_is_that_of_sizes_plotted_as_others():
    """Our own stored losses of the same protocol, read at the inferred sizes, have the published slope."""
    page = Path(__file__).parents[1] / "docs" / "studies" / "softmax-gaussian-as_published"
    with open(page / "summary.csv") as file:
        rows = list(csv.DictReader(file))
    sizes, losses = (np.array([float(r[name]) for r in rows]) for name in ("n", "loss_mean"))
    published = softmax_gaussian.STUDY.published["K=2", "loss"].exponent
    assert softmax_gaussian.as_plotted(sizes, losses) == pytest.approx(published, abs=0.02)
    rows = [{"arm": "K=2", "n": int(n), "loss": v} for n, v in zip(sizes, losses, strict=True)]
    told = softmax_gaussian.STUDY.note(rows, "as_published")
    assert told in (page / "report.md").read_text()
    assert "As plotted" not in softmax_gaussian.STUDY.note(rows, "as_defined")
    exact = 7 * softmax_gaussian.INFERRED**-0.5
    assert softmax_gaussian.as_plotted(softmax_gaussian.INFERRED, exact) < -0.6
    nominal = np.polyfit(np.log(sizes), np.log(losses), 1)[0]
    assert nominal == pytest.approx(-0.503, abs=0.005)


def nearest_with_one_kept():
    """Of two of three selected experts one may be kept: on each side of zero the nearest density is a line
    with one variance, the means' projection. Its Hellinger distance, by quadrature over y."""
    x, y = (np.arange(500) + 0.5) / 250 - 1, np.linspace(-7, 7, 2801)
    level, mean = np.array([0.3, 0.0, -0.3]), np.array([-2.0, 0.0, 2.0])
    variance = np.array([0.09, 0.16, 0.09])
    weights = np.exp(level + np.outer(x, [-1.5, 0.0, 1.5]))
    weights[x < 0, 2] = weights[x > 0, 0] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    means = mean + np.outer(x, [1.0, -1.0, 1.0])
    average = (weights * means).sum(axis=1)
    scatter = (weights * (variance + means**2)).sum(axis=1) - average**2

    def normal(m, v):
        return np.exp(-((y - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)

    distances = []
    for side in (x < 0, x > 0):
        line = np.polyval(np.polyfit(x[side], average[side], 1), x[side])
        v = (scatter[side] + (average[side] - line) ** 2).mean()
        for w, m, c in zip(weights[side], means[side], line, strict=True):
            true = sum(w[i] * normal(m[i], variance[i]) for i in range(3))
            affinity = np.sqrt(true * normal(c, v)).sum() * (y[1] - y[0])
            distances.append(np.sqrt(max(1 - affinity, 0.0)))
    return float(np.mean(distances))


def test_too_few_kept_experts_end_at_the_nearest_density():
    study = find_study("topk")
    plan = study.plan("as_published", "paper", only="two of three, k=3, K=1", sizes=(8000,), replicates=1)
    arm = plan.arms[0]
    row = study.fit(arm, "as_published", 8000, plan.rng(arm, 8000, 0))
    limit = nearest_with_one_kept()
    assert limit == pytest.approx(0.5176, abs=5e-4)
    assert row["hellinger"] == pytest.approx(limit, abs=5e-3)
    assert arm.options["kept"] < row["bound"]
    with pytest.raises(DataError, match="increasing"):
        study.plan("as_defined", "smoke", arms=[replace(arm, options={**arm.options, "inputs": [1.0, -1.0]})])


def test_merging_repairs_over_fitted_located_atoms():
    """The atoms of a wide fit share true ones and are far off, the merged ones are near."""
    study = find_study("dendrogram")
    plan = study.plan("as_defined", "paper", only="Gaussian gate", sizes=(2000,), replicates=1)
    arm = plan.arms[0]
    row = study.fit(arm, "as_defined", 2000, plan.rng(arm, 2000, 0))
    assert row["dsc"] == 3
    assert row["merged_loss"] < 0.1
    assert row["merged_slopes"] < row["slopes_over"]


def test_pages_say_from_which_n_their_rates_show():
    """Of the rates of losses: what was said before any data is on the page."""
    pages = Path(__file__).parents[1] / "docs" / "studies"
    seen = set()
    for page in pages.glob("*/report.md"):
        name = page.parent.name.rsplit("-", 1)[0]
        if "asymptotic from about n" in page.read_text():
            seen.add(name)
    rates = {
        "softmax-multinomial",
        "softmax-poisson",
        "softmax-gaussian",
        "gaussian-gate",
        "topk",
        "dendrogram",
    }
    assert seen == rates | {"gaussian-gate-exact", "topk-slopes", "softmax-gaussian-over"}
    with open(pages / "gaussian-gate-as_defined" / "summary.csv") as file:
        sizes = sorted({int(r["n"]) for r in csv.DictReader(file)})
    told = find_study("gaussian-gate").note([{"n": n} for n in sizes], "as_defined")
    assert told in (pages / "gaussian-gate-as_defined" / "report.md").read_text()


@pytest.mark.parametrize("kernel", ["normal", "Laplace", "uniform"])
def test_sums_of_any_kernel_approach_a_density(kernel):
    """In L_1, L_2 and the sup norm; with one atom the errors are those of the kernel."""
    study = find_study("approximation")
    plan = study.plan("as_defined", "paper", only=f"sum, {kernel}")
    (arm,) = plan.arms
    rows = [study.fit(arm, "as_defined", k, plan.rng(arm, k, 0)) for k in (32, 128, 512)]
    for norm in ("l1", "l2", "sup"):
        assert rows[0][norm] > 2 * rows[1][norm] > 4 * rows[2][norm] > 0
    y = np.linspace(-6, 12, 6000)
    single = {
        "normal": np.exp(-0.5 * ((y - 3) / 6) ** 2) / (6 * np.sqrt(2 * np.pi)),
        "Laplace": np.exp(-np.abs(y - 3) / 6) / 12,
        "uniform": (np.abs(y - 3) <= 6) / 12,
    }[kernel]
    gap = np.abs(single - np.exp(-y - np.exp(-y)))
    one = study.fit(arm, "as_defined", 1, plan.rng(arm, 1, 0))
    assert one["sup"] == pytest.approx(gap.max())
    assert one["l1"] == pytest.approx(gap.sum() * (y[1] - y[0]))


def test_slopes_without_the_smallest_size():
    rows = [
        {"arm": "a", "n": n, "loss": c * n**-0.5, "hellinger": n**-0.25}
        for n in (10, 100, 1000, 10_000)
        for c in (1, 2)
    ]
    told = later_sizes(rows, ["a", "not run"])
    assert told.columns["arm"] == ["a"]
    assert (told.columns["from n"], told.columns["to n"]) == (["1e+02"], ["1e+04"])
    assert told.columns["loss"][0].startswith("-0.50 [")
    assert told.columns["hellinger"] == ["-0.25 [-0.25, -0.25]"]
    assert told.columns["worst"] == [None]


def test_the_bound_of_the_lasso_beside_its_risk():
    """lambda (|psi|_1 + 1): the slopes of both experts and the gate add to nine."""
    rows = [{"arm": "strength x 0.5", "n": 400, "kl": risk, "alpha": 0.02} for risk in (0.1, 0.3)]
    (found,) = oracle.bounds(rows, ["strength x 0.5", "not run"]).rows()
    assert found["risk"] == pytest.approx(0.2)
    assert found["bound"] == pytest.approx(0.2)
    assert found["bound of the theorem"] == pytest.approx(0.2 * 148 / 0.025)
