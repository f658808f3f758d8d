"""The site's half of `pseudo_label`: masks for its own cases, and counts of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from client.bench import Bench
from client.cases import Case
from client.imageio import Volume, read_image
from client.predict import find_views
from client.predicting import networks_here
from client.preprocess import Floats, restore
from client.products import product_path, write_product
from client.steps import Job
from client.tables import keep_columns
from client.training import bench_of, whole_cases
from common.sums import Array, Sums
from common.tasks.predict import networks_of
from common.tasks.pseudo_label import COUNTS, N_BINS, PseudoLabel, unused_value

Networks = Sequence[Mapping[str, Array]]


def summarise(job: Job) -> Sums:
    """Label this site's cases; return counts by what became of them."""
    bench = bench_of(job, job.study.bound[job.step.network])
    cases = whole_cases(job)
    sent = networks_of(job.posed.ask)
    networks = [w for fold in sent.variants[""] for w in networks_here(job, sent, "", fold)]
    columns = {name: np.full(len(cases), np.nan) for name in ("confidence", "ignored")}
    became: Counter[str] = Counter()
    for row, case in enumerate(cases):
        path = _path(job, bench, case)
        truth = case.masks.get(bench.scored.task.mask)
        if truth is not None:
            write_product(path, read_image(truth))
            became["true"] += 1
            continue
        found = _one(job, bench, networks, case)
        if found is None:
            became["failed"] += 1
            continue
        mask, columns["confidence"][row], columns["ignored"][row] = found
        sure = bool(columns["confidence"][row] >= job.step.case_confidence)
        became["accepted" if sure else "rejected"] += 1
        if sure:
            write_product(path, mask)
        else:
            path.unlink(missing_ok=True)
    keep_columns(job.site, job.run, job.posed.step, [c.case_id for c in cases], columns)
    known = columns["confidence"][~np.isnan(columns["confidence"])]
    bins = np.histogram(known, bins=N_BINS, range=(0, 1))[0]
    return {name: np.array(became[name]) for name in COUNTS} | {"confidence": bins}


def _path(job: Job, bench: Bench, case: Case) -> Path:
    return product_path(job.site, job.run, job.posed.step, bench.task.mask_name, case.case_id)


def _one(
    job: Job, bench: Bench, networks: Networks, case: Case
) -> tuple[Volume, float, float] | None:
    """Return a case's mask, how sure of it networks are, and the share they are not."""
    step: PseudoLabel = job.step
    try:
        views, frame = find_views(bench, networks, case, step.flips)
        onto = read_image(case.images[bench.mask.on]).grid
    except ValueError as error:
        job.put_aside(case.case_id, error)
        return None
    chances = np.asarray(np.mean(views, axis=0, dtype=np.float32))
    gated, confidence, ignored = gate(chances, step.voxel_confidence)
    if step.case_judged_by == "agreement":
        confidence = agreement(views)
    classes = restore(gated, frame, onto, bench.task.recipe)
    values = np.array([0, *bench.mask.labels.values(), unused_value(bench.mask)])
    kind = np.uint8 if values.max() < 256 else np.uint16
    return Volume(values.astype(kind)[classes], onto), confidence, ignored


def agreement(views: Sequence[Floats]) -> float:
    """Return the mean Dice of what the first view and each other finds, labels told apart.

    Args:
        views: chances of every class, (classes, Z, Y, X), the background first.
    """
    first, *others = (view.argmax(axis=0) for view in views)
    shared = [2 * np.count_nonzero((first == o) & (o > 0)) for o in others]
    marked = [np.count_nonzero(first) + np.count_nonzero(o) for o in others]
    scores = [s / m if m else 0.0 for s, m in zip(shared, marked, strict=True)]
    return float(np.mean(scores))


def gate(chances: Floats, voxel_confidence: float) -> tuple[Floats, float, float]:
    """Return chances with one class more, of voxels that are not sure enough.

    Args:
        chances: of every class, (classes, Z, Y, X), the background first.
        voxel_confidence: smallest chance of the likeliest class.

    Returns:
        The chances (classes + 1, Z, Y, X); the mean chance of the likeliest class over
        voxels that are not background, 0 where all are; the share of voxels not sure of.
    """
    highest, likeliest = chances.max(axis=0), chances.argmax(axis=0)
    marked = likeliest > 0
    confidence = float(highest[marked].mean(dtype=np.float64)) if marked.any() else 0.0
    unsure = highest < voxel_confidence
    gated = np.concatenate([chances * ~unsure, unsure[None].astype(np.float32)])
    return gated, min(confidence, 1.0), float(unsure.mean())
