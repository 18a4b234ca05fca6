"""What an installed moestro must do, run by the interpreter that has it, outside the source tree.

Without formulaic it looks at what a bare install does, and refuses; with it, at the command line.
"""

import csv
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np

import moestro
from moestro.datasets import dataset_path
from moestro.theory import voronoi_loss

COMMAND = Path(sysconfig.get_path("scripts")) / "moestro"


def run(*words: str, fails: bool = False) -> str:
    done = subprocess.run([str(COMMAND), *words], capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def the_package() -> None:
    assert "site-packages" in moestro.__file__, moestro.__file__
    for name in ("py.typed", "_core.pyi", "report/explorer.js"):
        assert (files("moestro") / name).is_file(), name
    assert not (files("moestro") / "tests").is_dir()


def estimators() -> None:
    tone = moestro.load_dataset("tone")
    x, y = np.array(tone["stretchratio"])[:, None], tone["tuned"]
    model = moestro.MoERegressor(n_experts=2, random_state=0).fit(x, y)
    assert abs(model.log_likelihood_ - 145.650315) < 1e-4, model.log_likelihood_
    model.save("tone.json")
    assert np.array_equal(moestro.load_model("tone.json").predict(x), model.predict(x))
    assert "pandas" not in sys.modules
    assert "matplotlib" not in sys.modules


def refusals() -> None:
    said = ""
    try:
        moestro.MoERegressor.from_formula("tuned ~ stretchratio", moestro.load_dataset("tone"))
    except moestro.DataError as error:
        said = str(error)
    assert "moestro[formula]" in said, "a formula without formulaic must say which extra it needs"
    assert "moestro[studies]" in run("study", "run", "approximation", "--quiet", fails=True)


def theory() -> None:
    atoms = [[25], [0]], [[15], [-5]], [[[-20]], [[20]]]
    truth = moestro.MixingMeasure([-8, 0], *atoms, np.log([[0.09], [0.16]]), "gaussian")
    assert voronoi_loss(truth.translate(2.0, 1.0).permute([1, 0]), truth) == 0.0


def command() -> None:
    voters = str(dataset_path("voters"))
    words = ["--family", "multinomial", "-k", "1-2", "-q", "--out", "model.json"]
    assert "In words" in run("fit", voters, "-f", "vote ~ left_right | age", *words)
    run("predict", "model.json", voters, "--out", "predicted.csv")
    with open("predicted.csv", newline="") as file:
        assert len(list(csv.reader(file))) == 945


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        bare = importlib.util.find_spec("formulaic") is None
        the_package()
        run("--help")
        run("study", "list")
        for check in (estimators, theory, refusals) if bare else (command,):
            check()
            print(f"wheel: {check.__name__} ok")
        os.chdir("/")


if __name__ == "__main__":
    main()
