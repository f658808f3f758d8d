#!/usr/bin/env bash
# Make .venv with everything that the package and its tests need.
#
#   scripts/setup.sh [--torch-index URL]
#
# PYTHON                    interpreter to try first (3.11 or 3.12)
# CONSORTIUM_TORCH_INDEX    package index to take PyTorch from, the same as
#                           --torch-index; matters only when .venv has none yet
#
# A second call returns at once; an interrupted one is taken up again. Nothing is
# changed outside .venv, which keeps the compiled kernels too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv
readonly STAMP=$VENV/.consortium-ready
readonly KERNELS=$VENV/.consortium-kernels
readonly SHIM=third_party/pyradiomics-official
readonly SUPPORTED='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'

fail() {
  printf 'setup.sh: %s\n' "$@" >&2
  exit 1
}

is_supported() {
  "$1" -c "$SUPPORTED" >/dev/null 2>&1
}

# The interpreter, this folder and the content of files, as one line.
digest() {
  "$VENV/bin/python" - "$@" <<'PYTHON'
import hashlib, pathlib, sys
digest = hashlib.sha256()
for path in map(pathlib.Path, sys.argv[1:]):
    if path.is_file():
        digest.update(hashlib.sha256(path.read_bytes()).digest())
print(pathlib.Path.cwd(), sys.version.split()[0], digest.hexdigest())
PYTHON
}

# Everything that the content of .venv depends on.
fingerprint() {
  digest pyproject.toml constraints.txt scripts/setup.sh "$SHIM"/*
}

# The same of the compiled radiomics kernels: their sources only, as compiling takes a minute.
kernels_fingerprint() {
  local files
  mapfile -t files < <(grep -lE '^@[a-z_]*(kernel|inner|regrouping)' client/radiomics/*.py)
  digest constraints.txt client/radiomics/{compiled,kernel_store}.py "${files[@]}"
}

are_compiled() {
  [[ -f $KERNELS ]] && [[ -d $(tail -n 1 "$KERNELS") ]] &&
    [[ $(head -n 1 "$KERNELS") == "$(kernels_fingerprint)" ]]
}

compile_kernels() {
  printf 'setup.sh: compiling the radiomics kernels, once (about a minute)\n'
  kernels_fingerprint >"$KERNELS.part"
  "$VENV/bin/python" -c 'import numba
from client.radiomics.engine import warm_up
warm_up()
print(numba.config.CACHE_DIR)' >>"$KERNELS.part"
  mv "$KERNELS.part" "$KERNELS"
}

is_ready() {
  [[ -f $STAMP ]] && is_supported "$VENV/bin/python" &&
    [[ $(cat "$STAMP") == "$(fingerprint)" ]]
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3; do
    if is_supported "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "expected Python 3.11 or 3.12, found neither among" \
    "  ${PYTHON:+$PYTHON, }python3.11, python3.12, python3." \
    "Install one, or name it: PYTHON=/path/to/python3.12 scripts/setup.sh"
}

make_venv() {
  if "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    is_supported "$VENV/bin/python" ||
      fail "$VENV is $("$VENV/bin/python" --version), expected 3.11 or 3.12." \
        "Remove $VENV and call again."
    return
  fi
  local python
  python=$(find_python)
  printf 'setup.sh: making %s with %s\n' "$VENV" "$("$python" --version)"
  "$python" -m venv "$VENV" ||
    fail "$python could not make $VENV (Debian and Ubuntu: apt-get install python3-venv)."
}

require_compiler() {
  local compiler header
  compiler=${CC:-$("$VENV/bin/python" -c \
    'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}
  command -v "${compiler%% *}" >/dev/null ||
    fail "no C compiler (${compiler%% *}); pyradiomics is built from source." \
      "Debian and Ubuntu: apt-get install build-essential; macOS: xcode-select --install"
  header=$("$VENV/bin/python" -c \
    'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
  [[ -f $header ]] ||
    fail "no $header; pyradiomics is built from source." \
      "Debian and Ubuntu: apt-get install python3-dev"
}

# Setuptools' advice on editable packages is no news here; errors still show.
pip_install() {
  PYTHONWARNINGS=ignore::UserWarning "$VENV/bin/python" -m pip install \
    --quiet --disable-pip-version-check --constraint constraints.txt "$@"
}

install_all() {
  local torch
  torch=$(grep -E '^torch==' constraints.txt)
  if [[ -n $torch_index ]]; then
    # No dependencies here: such an index rarely holds the versions we pin.
    pip_install --no-deps --index-url "$torch_index" "$torch"
  else
    pip_install "$torch"
  fi
  pip_install ${torch_index:+--extra-index-url "$torch_index"} \
    --editable ".[ray,test]" "./$SHIM"
  "$VENV/bin/python" -c 'from radiomics import cMatrices, cShape' ||
    fail "pyradiomics was installed without its C extensions."
}

torch_index=${CONSORTIUM_TORCH_INDEX:-}
case ${1:-} in
  '') ;;
  --torch-index) torch_index=${2:?--torch-index: expected a URL} ;;
  *) fail "unknown argument $1" "usage: scripts/setup.sh [--torch-index URL]" ;;
esac

if ! is_ready; then
  make_venv
  require_compiler
  rm -f "$STAMP"
  printf 'setup.sh: installing into %s (minutes the first time)\n' "$VENV"
  install_all
  fingerprint >"$STAMP.part"
  mv "$STAMP.part" "$STAMP"
fi
are_compiled || compile_kernels
printf 'setup.sh: %s is ready (%s)\n' "$VENV" "$("$VENV/bin/python" --version)"
