#!/usr/bin/env bash
# The suite as other machines would run it: instruction sets of the core, kernels of BLAS, threads, the oldest dependencies, inputs disturbed in
# the last bit. One line a machine; the failures stand in elsewhere-output. Arguments go to pytest; MACHINES="oldest baseline" runs those alone.
set -uo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH VIRTUAL_ENV || true
out=elsewhere-output
mkdir -p "$out"
failed=0

machine() { # name, python, variables...
  local name=$1 python=$2
  shift 2
  if [ -n "${MACHINES:-}" ] && [[ " $MACHINES " != *" $name "* ]]; then return; fi
  local more=()
  # Old releases warn of what newer Pythons and pytests will drop: that is theirs, not ours.
  if [ "$python" = "$old" ]; then more=(-W ignore::DeprecationWarning -W ignore::FutureWarning); fi
  if env "$@" "$python" -m pytest -p no:cacheprovider "${more[@]}" "${tests[@]}" > "$out/$name.txt" 2>&1; then
    echo "passed  $name: $(tail -n 1 "$out/$name.txt")"
  else
    echo "FAILED  $name: $(tail -n 1 "$out/$name.txt")  ($out/$name.txt)"
    failed=1
  fi
}

tests=("$@")
new=.venv/bin/python old=.venv-oldest/bin/python
machine oldest "$old"
machine baseline "$new" MOESTRO_ISA=baseline OPENBLAS_CORETYPE=Nehalem OMP_NUM_THREADS=1
machine haswell "$new" MOESTRO_ISA=avx2 OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=2
machine zen "$new" MOESTRO_ISA=avx2 OPENBLAS_CORETYPE=Zen OMP_NUM_THREADS=1
if grep -q avx512f /proc/cpuinfo; then
  machine skylakex "$new" OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=2
else
  echo "skipped skylakex: this processor has no AVX-512"
fi
machine sandybridge-old "$old" MOESTRO_ISA=baseline OPENBLAS_CORETYPE=Sandybridge
for seed in 1 2 3; do
  machine "disturbed-$seed" "$new" MOESTRO_TEST_DISTURB=$seed
done
exit $failed
