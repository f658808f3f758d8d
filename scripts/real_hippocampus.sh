#!/usr/bin/env bash
# Run the two-stage study on hippocampi: scripts/real_hippocampus.sh DATA
#
#   DATA    folder with dataset.json and splits.json (Decathlon Task04, split by patient)
set -euo pipefail

cd "$(dirname "$0")/.."
data=${1:?folder of the data}
consortium=.venv/bin/consortium
$consortium import decathlon "$data/dataset.json" --splits "$data/splits.json" \
    --out cohorts/hippocampus --image t1 --mask hippocampus
$consortium simulate studies/real/hippocampus_two_stage.yaml \
    --sites studies/real/hippocampus_two_stage.sites.yaml
