#!/usr/bin/env bash
# Build the wheel, install it alone into an empty environment, use it from outside the source tree.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH VIRTUAL_ENV || true

"$root/.venv/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps -w "$work" "$root"
"$python" -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$work"/moestro-*.whl
cd "$work"

"$work/env/bin/python" - <<'PY'
import sys
import numpy as np
import moestro
assert "site-packages" in moestro.__file__, moestro.__file__
tone = moestro.load_dataset("tone")
x, y = tone["stretchratio"], tone["tuned"]
model = moestro.MoERegressor(n_experts=2, random_state=0).fit(np.array(x)[:, None], y)
assert abs(model.log_likelihood_ - 145.650315) < 1e-4, model.log_likelihood_
model.save("tone.json")
again = moestro.load_model("tone.json")
assert np.array_equal(again.predict(np.array(x)[:, None]), model.predict(np.array(x)[:, None]))
assert "pandas" not in sys.modules and "matplotlib" not in sys.modules
try:
    moestro.MoERegressor.from_formula("tuned ~ stretchratio", tone)
except moestro.DataError as error:
    assert "moestro[formula]" in str(error), error
else:
    raise AssertionError("a formula without formulaic must say which extra it needs")
print("wheel: estimators ok")
PY
"$work/env/bin/moestro" --help >/dev/null
"$work/env/bin/moestro" study list >/dev/null
if "$work/env/bin/moestro" study run approximation --quiet 2>refused.txt; then exit 1; fi
grep -q "moestro\[studies\]" refused.txt
"$work/env/bin/python" - <<'PY'
import numpy as np
from moestro import MixingMeasure
from moestro.theory import voronoi_loss
truth = MixingMeasure([-8, 0], [[25], [0]], [[15], [-5]], [[[-20]], [[20]]], np.log([[0.09], [0.16]]), "gaussian")
assert voronoi_loss(truth.translate(2.0, 1.0).permute([1, 0]), truth) == 0.0
print("wheel: theory ok")
PY
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$(ls "$work"/moestro-*.whl)[formula]"
csv=$("$work/env/bin/python" -c 'from moestro.datasets import dataset_path; print(dataset_path("voters"))')
"$work/env/bin/moestro" fit "$csv" -f "vote ~ left_right | age" --family multinomial -k 1-2 -q --out model.json >fit.txt
"$work/env/bin/moestro" predict model.json "$csv" --out predicted.csv
test "$(wc -l <predicted.csv)" -eq 945
echo "wheel: command line ok"
