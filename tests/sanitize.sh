#!/usr/bin/env bash
# The compiled core built with sanitizers, under the tests that use it most, on every instruction set of this machine.
#
#   tests/sanitize.sh address,undefined     out of bounds, use after free, undefined arithmetic
#   tests/sanitize.sh thread                races between the core's threads
#
# Python itself is not instrumented: leaks are not looked for, and of races only those inside the core are seen.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-address,undefined}
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
work=$PWD/build/sanitize-${kind//,/-}
mkdir -p "$work/wheel"

"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps -w "$work/wheel" -C build-dir="$work/cmake" \
  -C cmake.define.MOESTRO_SANITIZE="$kind" .
rm -rf "$work/site"
"$python" -m zipfile -e "$(ls -t "$work"/wheel/*.whl | head -1)" "$work/site"

library=lib$([ "$kind" = thread ] && echo tsan || echo asan).so
export LD_PRELOAD PYTHONPATH=$work/site OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=1
LD_PRELOAD=$("${CXX:-c++}" -print-file-name="$library")
# OpenBLAS and SciPy throw and catch through the preloaded runtime: no allocator mismatch of theirs is of interest.
export ASAN_OPTIONS=detect_leaks=0:alloc_dealloc_mismatch=0 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1

tests=(tests/test_engines.py tests/test_groups.py tests/test_located.py)
if [ "$kind" = thread ]; then tests+=(-k "threads"); fi
for set in $("$python" -c "from moestro import _core; print(*_core.instruction_sets())") ""; do
  echo "== $kind, instruction set ${set:-that the dispatcher chooses}"
  MOESTRO_ISA=$set "$python" -m pytest -p no:cacheprovider -p no:xdist "${tests[@]}"
done
