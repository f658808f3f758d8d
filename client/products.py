"""Images and masks that steps of a run have made of a site's own cases.

They lie in the site's workspace and never leave it; later steps read them by name,
`<step>.<name>`, as they read images and masks of the cohort.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from client.cases import Case
from client.imageio import Volume, write_image
from client.site import Site
from common.study import Study


def product_path(site: Site, run: str, step: str, name: str, case_id: str) -> Path:
    """Return where a step's image or mask of a case lies, whether it is there or not."""
    folder = site.workspace.joinpath("runs", run, "products", step, name)
    return folder / f"{case_id}.nii.gz"


def write_product(path: Path, volume: Volume) -> None:
    """Write an image or mask, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    write_image(part, volume)
    part.replace(path)


def with_products(site: Site, study: Study, run: str, cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return the cases with those images and masks that steps have made of them so far.

    A mask that is not there is None, an image has no entry: as in the cohort.
    """
    made = [name for name in study.holdings.images if "." in name]
    drawn = [name for name in study.holdings.masks if "." in name]
    return tuple(
        replace(
            case,
            images={**case.images, **_there(site, run, case, made)},
            masks={**case.masks, **dict.fromkeys(drawn), **_there(site, run, case, drawn)},
        )
        for case in cases
    )


def _there(site: Site, run: str, case: Case, names: Iterable[str]) -> Mapping[str, Path]:
    found = {}
    for name in names:
        step, _, product = name.partition(".")
        path = product_path(site, run, step, product, case.case_id)
        if path.exists():
            found[name] = path
    return found
