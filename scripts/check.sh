#!/usr/bin/env bash
# What a commit must pass: format, lint, types, the tests that are not slow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PYTHON=.venv/bin/python
[[ -x $PYTHON ]] || {
  echo "check.sh: no .venv here; call scripts/setup.sh first" >&2
  exit 1
}

"$PYTHON" -m ruff format --check .
"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
exec "$PYTHON" -m pytest -m "not slow" "$@"
