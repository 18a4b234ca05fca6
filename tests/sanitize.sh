#!/usr/bin/env bash
# The core under the compiler's sanitizers: AddressSanitizer and UndefinedBehaviorSanitizer on every instruction set of this machine, ThreadSanitizer
# on its threads. Needs GCC on Linux, and what `make test` installs. Arguments go to pytest. QUICK=1 leaves out what takes longest: groups, gates and laws.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH VIRTUAL_ENV || true
python=$PWD/.venv/bin/python folder=$PWD/build/sanitize
export CXX=${CXX:-g++}
library() { "$CXX" -print-file-name="$1"; }

# The pool alone: Python and BLAS are not built for ThreadSanitizer, so that a driver in C++ calls what they would call.
mkdir -p "$folder"
"$CXX" -std=c++17 -O1 -g1 -fsanitize=thread -Wno-psabi -ffp-contract=fast -fno-math-errno -DMOESTRO_ISA=baseline -Icore \
  tests/witness/threads.cpp core/{evaluate,plan,together,newton,kernel}.cpp -pthread -o "$folder/threads"
TSAN_OPTIONS=halt_on_error=1 "$folder/threads"
echo "passed  threads"

"$python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$folder/site" \
  -C "build-dir=$folder/build" -C cmake.build-type=RelWithDebInfo -C install.strip=false -C cmake.define.MOESTRO_SANITIZE=address,undefined .

# Leaks are not looked for: Python keeps modules and types until it ends. tests/test_allocation.py counts what fits keep.
export LD_PRELOAD="$(library libasan.so) $(library libstdc++.so)"
export ASAN_OPTIONS=detect_leaks=0:halt_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export PYTHONPATH=$folder/site OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=1
under() { # instruction set, arguments of pytest
  MOESTRO_ISA=${1#the dispatcher} "$python" -m pytest -p no:cacheprovider -p no:xdist "${@:2}"
  echo "passed  $1"
}
each=(tests/test_engines.py tests/test_groups.py tests/test_gates.py) chosen=(tests/test_sums.py tests/test_threads.py tests/test_laws.py)
if [ -n "${QUICK:-}" ]; then
  each=(tests/test_engines.py) chosen=(tests/test_sums.py tests/test_threads.py)
fi
for isa in $("$python" -c "from moestro import _core; print(*_core.instruction_sets())"); do
  under "$isa" "${each[@]}" "$@"
done
under "the dispatcher" "${chosen[@]}" "$@"
