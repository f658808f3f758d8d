#!/usr/bin/env bash
# A small deployment with real processes, all on this machine: a SuperLink with TLS and
# a database, a SuperNode with a registered key for each site. Runs a study in it, stops
# every process, simulates the same study and compares the two to the last bit.
#
#   scripts/deploy_localhost.sh [STUDY] [--sites SITES] [--folder NEW] [--no-compare]
#
# STUDY is studies/phantom.yaml where not given, SITES sites.example.yaml; each site of
# the roster needs its `simulate` part. Keys, logs and the run stay in the folder that is
# printed. Ctrl-C stops everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
exec .venv/bin/python -m server.deploy "$@"
