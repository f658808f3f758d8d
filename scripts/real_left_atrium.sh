#!/usr/bin/env bash
# Run the semi-supervised study on left atria: scripts/real_left_atrium.sh DATA [options]
#
#   DATA                    folder with dataset.json and splits.json (8 labelled, 24 unlabelled, 8 tests)
#   --test-labels FOLDER    labels of the tests, named like their images; without them no scores
#   --rehearsal             test on three of the outlined cases instead, learn from five
#   --coarse                voxels of 2.5 mm and a smaller network: for two CPU cores
set -euo pipefail

cd "$(dirname "$0")/.."
data=${1:?folder of the data}
shift
study=studies/real/left_atrium.yaml splits=$data/splits.json labels=()
while (($#)); do
    case $1 in
        --test-labels) labels=(--test-labels "$2"); shift ;;
        --rehearsal) splits=studies/real/left_atrium.rehearsal.yaml ;;
        --coarse) study=studies/real/left_atrium_coarse.yaml ;;
        *) echo "unknown option: $1" >&2; exit 2 ;;
    esac
    shift
done

consortium=.venv/bin/consortium
rm -rf cohorts/left_atrium
$consortium import decathlon "$data/dataset.json" --splits "$splits" \
    --out cohorts/left_atrium --image mr --mask atrium "${labels[@]}"
$consortium simulate "$study" --sites studies/real/left_atrium.sites.yaml
echo "Dice of every case, at its site:"
run=$(ls -td runs/left-atrium*/ | head -1)
grep -H . runs/.sites/*/runs/"$(basename "$run")"/columns/agreement.csv
