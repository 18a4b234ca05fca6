"""What passed is not run twice: `--remember FILE` writes which tests passed, `--beside FILE` leaves them out.

The default suite runs first, in the environment of a user; the run with every extra then adds what was
skipped there and what has the marker slow.
"""

from pathlib import Path

import pytest

PASSED = pytest.StashKey[set]()


def pytest_addoption(parser):
    parser.addoption("--remember", metavar="FILE", help="write the tests that passed")
    parser.addoption("--beside", metavar="FILE", help="leave out the tests that passed before")


def pytest_configure(config):
    config.stash[PASSED] = set()
    if config.getoption("--remember") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config))


class Recorder:
    def __init__(self, config):
        self.passed, self.path = config.stash[PASSED], Path(config.getoption("--remember"))

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            self.passed.add(report.nodeid)

    def pytest_sessionfinish(self):
        self.path.write_text("\n".join(sorted(self.passed)) + "\n", encoding="utf-8")


def pytest_collection_modifyitems(config, items):
    path = config.getoption("--beside")
    if not path:
        return
    before = set(Path(path).read_text(encoding="utf-8").splitlines())
    left = [item for item in items if item.nodeid in before]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item.nodeid not in before]
