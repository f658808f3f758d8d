"""Draw one case of a phantom cohort, or list the cases of a site.

A case is a function of (seed, site, index). Making 12 patients or 1,200 of a site
gives the first 12 the same voxels, the same row and the same split.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from common.cohort import SPLITS, Cohort, Column
from common.phantoms import clinical
from common.phantoms.anatomy import Traits
from common.phantoms.clinical import Lesion, Patient
from common.phantoms.fields import Grid, stream
from common.phantoms.scanner import draw_masks, expose, fine_grid
from common.phantoms.spec import PhantomSpec, Site


@dataclass(frozen=True, slots=True)
class Plan:
    """A case before its images are drawn.

    Attributes:
        site: its name in the spec.
        index: of the patient within the site, from 0.
        side: "l" or "r"; where the anatomy has visits, which of them.
        split: train, validation or test.
        patient: shared by the patient's cases.
        lesion: the case's own.
        labelled: whether it has masks.
        reread: whether a second reader drew the organ.
    """

    site: str
    index: int
    side: str
    split: str
    patient: Patient
    lesion: Lesion
    labelled: bool
    reread: bool

    @property
    def patient_id(self) -> str:
        """Return the site's pseudonym of the patient."""
        return f"{self.site}_{self.index + 1:03d}"

    @property
    def case_id(self) -> str:
        """Return the site's name of the case."""
        return f"{self.patient_id}_{self.side}"


@dataclass(frozen=True, slots=True)
class Pictures:
    """The arrays of a case, all on one grid.

    Attributes:
        grid: the voxels.
        images: by name, in the voxel type that the site stores.
        masks: by name; a mask that nobody drew is missing.
    """

    grid: Grid
    images: Mapping[str, NDArray[np.generic]]
    masks: Mapping[str, NDArray[np.uint8]]


def plan_site(spec: PhantomSpec, name: str) -> Iterator[Plan]:
    """Yield the cases of a site in order, without drawing their images."""
    for index in range(spec.sites[name].n_patients):
        yield from plan_patient(spec, name, index)


def plan_patient(spec: PhantomSpec, name: str, index: int) -> Iterator[Plan]:
    """Yield the cases of a patient: one side or both, or every visit."""
    site, names = spec.sites[name], (spec.seed, name, index)
    patient = clinical.draw_patient(site, spec.effects, *names)
    split = _split(spec, site, name, index)
    visits = visits_of(spec)
    for side in visits or _sides(site, names):
        own = () if visits else (side,)  # at every visit it is the same lesion
        lesion = clinical.draw_lesion(patient, site, spec.effects, *names, *own)
        draw = stream(*names, *own, "masks").random(2)
        labelled = split != "train" or bool(draw[0] >= site.unlabelled)
        reread = labelled and bool(draw[1] < site.reader2)
        yield Plan(name, index, side, split, patient, lesion, labelled, reread)


def _sides(site: Site, names: tuple[str | int, ...]) -> str:
    rng = stream(*names, "plan")
    first = "lr"[int(rng.random() < 0.5)]
    return "lr" if rng.random() < site.bilateral else first


def visits_of(spec: PhantomSpec) -> tuple[str, ...]:
    """Return the examinations of every patient; nothing: a left and a right case."""
    return tuple(getattr(spec.anatomy, "visits", ()))


def columns_of(spec: PhantomSpec) -> Mapping[str, Column]:
    """Return the columns of the table of these patients."""
    own = getattr(spec.anatomy, "columns", None)
    return own() if own else clinical.COLUMNS


def row(spec: PhantomSpec, plan: Plan) -> dict[str, str]:
    """Return the clinical cells of a case as its site writes them."""
    site = spec.sites[plan.site]
    cells = clinical.row(plan.patient, plan.lesion, site.missing_code)
    own = getattr(spec.anatomy, "row", None)
    if own is None:
        return cells
    return dict(own(_traits(spec, plan), cells, spec.seed, plan.site, plan.index))


def draw(spec: PhantomSpec, plan: Plan) -> Pictures:
    """Return the images and masks of a case."""
    site = spec.sites[plan.site]
    grid = Grid.over(spec.anatomy.size_mm, site.scanner.spacing_mm)
    names = (spec.seed, plan.site, plan.index, plan.side)
    finest_mm = getattr(spec.anatomy, "finest_mm", 1.0)
    body = spec.anatomy.draw(fine_grid(grid, finest_mm), _traits(spec, plan), *names)
    images = {
        image: expose(
            body,
            spec.anatomy.weighting(image),
            site.scanner.of(image),
            grid,
            stream(*names, "scan", image),
        )
        for image in spec.anatomy.images()
    }
    masks = {
        mask: voxels
        for mask, voxels in draw_masks(body, grid).items()
        if plan.labelled and (plan.reread or "@" not in mask)
    }
    return Pictures(grid, images, masks)


def contract(spec: PhantomSpec) -> Cohort:
    """Return the data contract that every site of the cohort fits."""
    return Cohort(
        images=dict(spec.anatomy.images()),
        masks=dict(spec.anatomy.masks()),
        columns=dict(columns_of(spec)),
    )


def truth(spec: PhantomSpec, name: str) -> dict[str, object]:
    """Return what was planted at a site: effects, its settings, each case's lesion."""
    return {
        "seed": spec.seed,
        "effects": spec.effects.model_dump(mode="json"),
        "reference": {
            "age": clinical.REFERENCE_AGE,
            "marker": clinical.REFERENCE_MARKER,
            "volume_ml": clinical.REFERENCE_VOLUME_ML,
        },
        "site": {"name": name, **spec.sites[name].model_dump(mode="json")},
        "cases": {plan.case_id: asdict(plan.lesion) for plan in plan_site(spec, name)},
    }


def _traits(spec: PhantomSpec, plan: Plan) -> Traits:
    mean = spec.sites[plan.site].patients.size
    own = stream(spec.seed, plan.site, plan.index, "size").normal(1.0, 0.05)
    size = float(np.clip(mean * own, 0.7, 1.25))
    lesion = plan.lesion
    return Traits(
        lesion.volume_ml,
        lesion.heterogeneity,
        size,
        plan.side == "l",
        male=plan.patient.male,
        outcome=lesion.malignant,
        visit=plan.side if visits_of(spec) else "",
    )


def _split(spec: PhantomSpec, site: Site, name: str, index: int) -> str:
    """Return the split of a patient: blocks of patients, each dealt by a keyed draw.

    A hash of the patient alone would leave a small site without a test case.
    """
    if site.role == "external":
        return "test"
    counts = (spec.split.train, spec.split.validation, spec.split.test)
    deck = [split for split, n in zip(SPLITS, counts, strict=True) for _ in range(n)]
    block, place = divmod(index, len(deck))
    order = stream(spec.seed, name, "block", block).permutation(len(deck))
    return deck[int(order[place])]
