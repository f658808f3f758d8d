#!/usr/bin/env bash
# Set up, check, and run every test, the slow ones too. Arguments go to pytest,
# whose summary comes last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh

readonly PYTHON=.venv/bin/python
"$PYTHON" -m ruff format --check .
"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
exec "$PYTHON" -m pytest -n 2 --dist loadfile "$@"
