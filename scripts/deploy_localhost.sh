#!/usr/bin/env bash
# A small deployment with real processes, all on this machine: a coordinator (SuperLink with
# TLS and a database, behind nginx) and a supervised site for each of the roster, with keys
# of its own and a study and code that it has signed. Runs the study, stops every process,
# simulates the same study and compares the two to the last bit.
#
#   scripts/deploy_localhost.sh [STUDY] [--sites SITES] [--folder NEW] [--no-compare] [--measure]
#
# STUDY is studies/phantom.yaml where not given, SITES sites.example.yaml; each site of
# the roster needs its `simulate` part. --measure prints how long a round takes in which
# nobody has work, and how many messages were answered without torch. Needs nginx (apt-get install nginx-light). Keys, logs
# and the run stay in the folder that is printed. Ctrl-C stops everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
exec .venv/bin/python -m server.deploy "$@"
