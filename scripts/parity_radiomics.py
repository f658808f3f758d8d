#!/usr/bin/env python3
"""Whether the radiomics engine gives PyRadiomics' numbers, in one table.

    scripts/parity_radiomics.py [--fuzz 300] [--only real,fuzz,baseline,ibsi]

* every feature of every image type on real regions and on made-up awkward ones, against
  PyRadiomics itself in the same run;
* against PyRadiomics' published baseline;
* against the consensus values of the Image Biomarker Standardisation Initiative.

Two values agree if |a - b| <= 1e-6 |b| + floor. The floor is 1e-12, but 1e-7 of its scale
for a number that can be zero by cancellation: the grey values of the region for mean,
median and percentiles, the fourth moment for cluster shade, the longest axis for the others,
one for what lies within [-1, 1]. Exit status 1 if anything does not agree.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import radiomics_cases as cases
import radiomics_references as references

from client.radiomics.case import read_case
from client.radiomics.engine import covers, measure, warm_up
from client.radiomics.errors import RadiomicsError
from client.radiomics.reference import extract_with_pyradiomics
from common.radiomics.profile import read_profile

RELATIVE, OF_SCALE, FLOOR = 1e-6, 1e-7, 1e-12
GREY = ("Mean", "Median", "10Percentile", "90Percentile", "Minimum", "Maximum")
UNIT = ("Skewness", "Imc1", "Imc2", "MCC", "Correlation", "Flatness", "Elongation")

Values = Mapping[str, float]


class Table:
    """Agreement by image type and feature class."""

    def __init__(self) -> None:
        self.worst: dict[tuple[str, str], float] = defaultdict(float)
        self.count: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self.offenders: list[str] = []

    def add(self, where: str, ours: Values, theirs: Values) -> None:
        """Compare the features of one region."""
        for name in sorted(set(ours) ^ set(theirs)):
            self.offenders.append(f"{where}: {name} only on one side")
        for name in set(ours) & set(theirs):
            image, feature_class, _ = name.split("_", 2)
            key = (_kind(image), feature_class)
            a, b = ours[name], theirs[name]
            self.count[key][1] += 1
            if _agree(name, a, b, theirs):
                self.count[key][0] += 1
                self.worst[key] = max(self.worst[key], _relative(name, a, b, theirs))
            else:
                self.offenders.append(f"{where}: {name}: {a!r}, expected {b!r}")

    def show(self, title: str) -> bool:
        """Print the table and the first offenders; say whether there are none."""
        print(f"\n{title}")
        print(f"{'image':14}{'class':12}{'agree':>9}{'of':>9}{'worst relative':>16}")
        for key in sorted(self.count):
            good, n = self.count[key]
            print(f"{key[0]:14}{key[1]:12}{good:9d}{n:9d}{self.worst[key]:16.1e}")
        total = np.sum(list(self.count.values()), axis=0) if self.count else (0, 0)
        print(f"{'all':26}{total[0]:9d}{total[1]:9d}")
        for line in self.offenders[:12]:
            print("  " + line)
        return not self.offenders


def _kind(image: str) -> str:
    return "log" if image.startswith("log-") else image.split("-")[0]


def _floor(name: str, reference: Values) -> float:
    image, _, feature = name.split("_", 2)
    if feature in GREY and "_firstorder_" in name:
        ends = [reference.get(f"{image}_firstorder_{end}", 0.0) for end in ("Minimum", "Maximum")]
        return OF_SCALE * max(map(abs, ends))
    if feature == "ClusterShade":
        return OF_SCALE * float(reference.get(f"{image}_glcm_ClusterProminence", 0.0) ** 0.75)
    if feature.endswith("AxisLength"):
        return OF_SCALE * reference.get(name.replace(feature, "MajorAxisLength"), 0.0)
    return OF_SCALE if feature in UNIT else FLOOR


def _agree(name: str, a: float, b: float, reference: Values) -> bool:
    if np.isnan(a) or np.isnan(b):
        return bool(np.isnan(a) and np.isnan(b))
    return a == b or abs(a - b) <= RELATIVE * abs(b) + _floor(name, reference)


def _relative(name: str, a: float, b: float, reference: Values) -> float:
    if a == b or np.isnan(a):
        return 0.0
    return max(0.0, abs(a - b) - _floor(name, reference)) / max(abs(b), 1e-300)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuzz", type=int, default=300)
    parser.add_argument("--only", default="real,fuzz,baseline,ibsi")
    parser.add_argument("--regions", default=",".join(cases.REAL))
    chosen = parser.parse_args()
    if not cases.DATA.is_dir() and chosen.only != "fuzz":
        parser.error(f"no real data at {cases.DATA}; set CONSORTIUM_TEST_DATA, or --only fuzz")
    warm_up()
    good = []
    if "real" in chosen.only:
        good.append(_compare("real regions, 1130 features", _real(chosen.regions.split(","))))
    if "fuzz" in chosen.only:
        good.append(_compare(f"{chosen.fuzz} made-up regions", cases.fuzzed(chosen.fuzz)))
    if "baseline" in chosen.only:
        good.append(_baseline())
    if "ibsi" in chosen.only:
        good += [references.show_digital_phantom(), references.show_chest_phantom()]
    print("\nall agree" if all(good) else "\nNOT all agree")
    sys.exit(not all(good))


def _real(names: Iterable[str]) -> Iterator[cases.Region]:
    for name in names:
        try:
            image, mask, label = cases.real(name)
        except FileNotFoundError as missing:
            print(f"{name}: not here ({missing})")
            continue
        yield cases.Region(name, image, mask, label, read_profile(cases.FULL))


def _compare(title: str, regions: Iterable[cases.Region]) -> bool:
    table, refused = Table(), []
    for one in regions:
        if reasons := covers(one.profile):
            table.offenders.append(f"{one.name}: not covered: {reasons}")
            continue
        ours, theirs = _ours(one), _theirs(one)
        if isinstance(ours, str) or isinstance(theirs, str):
            refused.append(f"{one.name}: engine {_word(ours)}, PyRadiomics {_word(theirs)}")
            if not (isinstance(ours, str) and isinstance(theirs, str)):
                table.offenders.append(refused[-1])
            continue
        table.add(one.name, ours, theirs)
    good = table.show(title)
    print(f"refused by both: {len(refused)}")
    return good


def _word(result: str | Values) -> str:
    return result if isinstance(result, str) else f"gave {len(result)} features"


def _ours(one: cases.Region) -> str | Values:
    try:
        case = read_case(one.image, one.mask, one.profile, one.label)
        return measure(case, one.profile)[0]
    except RadiomicsError as error:
        return str(error)


def _theirs(one: cases.Region) -> str | Values:
    try:
        return extract_with_pyradiomics(one.image, one.mask, one.profile, one.label)
    except RadiomicsError as error:
        return str(error)


def _baseline() -> bool:
    """Compare with the published baseline; 4 of its values are older than the mesh code."""
    table = Table()
    for where, profile, image, mask, theirs in references.baseline_cases():
        case = read_case(image, mask, profile, 1)
        values = measure(case, profile)[0]
        table.add(where, {name: values[name] for name in theirs}, theirs)
    good = table.show("PyRadiomics' published baseline")
    stale = [line for line in table.offenders if _is_stale(line)]
    print(f"{len(stale)} of these are brain1's mesh, in which PyRadiomics 3.0.1 differs as well")
    return good or len(stale) == len(table.offenders)


def _is_stale(line: str) -> bool:
    old = ("MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity")
    return line.startswith("brain1") and any(f"_shape_{name}:" in line for name in old)


if __name__ == "__main__":
    main()
