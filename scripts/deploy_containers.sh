#!/usr/bin/env bash
# A small deployment in containers on this machine: a coordinator behind nginx and a site
# for each of the roster, each with its own address on a network without a way out, data
# read-only, nobody root inside. Runs a study in it, removes every container, simulates the
# same study and compares the two to the last bit.
#
#   scripts/deploy_containers.sh [STUDY] [--sites SITES] [--folder NEW]
#
# Needs root, podman and runc; builds the images where they are missing or of other code (see
# scripts/build_images.sh for its settings). Ctrl-C stops everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
scripts/build_images.sh --check || scripts/build_images.sh
exec .venv/bin/python -m server.deploy.containers "$@"
