#!/usr/bin/env bash
# A small deployment in containers on this machine: a coordinator behind nginx and a site
# for each of the roster, each with its own address on a network without a way out, data
# read-only, nobody root inside. Runs a study in it, removes every container, simulates the
# same study and compares the two to the last bit.
#
#   scripts/deploy_containers.sh [STUDY] [--sites SITES] [--folder NEW]
#
# Needs root, podman and runc; builds the images where they are missing (see
# scripts/build_images.sh for its settings). Ctrl-C stops everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
for image in site coordinator; do
  podman --storage-driver=vfs image exists "localhost/consortium-$image:0.1.0" 2>/dev/null ||
    { scripts/build_images.sh && break; }
done
exec .venv/bin/python -m server.deploy.containers "$@"
