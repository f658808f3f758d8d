#!/usr/bin/env bash
# Set up and run the demo study: every site on this machine, on phantom cohorts
# that are made when missing. Arguments go to `consortium simulate`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
exec .venv/bin/consortium simulate studies/phantom.yaml --sites sites.example.yaml "$@"
