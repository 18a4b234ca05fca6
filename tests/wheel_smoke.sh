#!/usr/bin/env bash
# Install one file (a wheel or an sdist; without one, a wheel that is built) alone into an empty environment, and use it
# from outside the source tree.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH VIRTUAL_ENV || true
quiet="--quiet --disable-pip-version-check"

if [ $# -eq 0 ]; then
  "$root/.venv/bin/python" -m pip wheel $quiet --no-deps -w "$work" "$root"
  set -- "$work"/moestro-*.whl
fi
file=$(realpath "$1")
"$python" -m venv "$work/env"
"$work/env/bin/python" -m pip install $quiet -c "$root/constraints.txt" "$file"
cp "$root/tests/wheel_checks.py" "$work"
cd "$work"
"$work/env/bin/python" wheel_checks.py
"$work/env/bin/python" -m pip install $quiet -c "$root/constraints.txt" formulaic
"$work/env/bin/python" wheel_checks.py
