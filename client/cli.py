"""What a site does from the command line; `consortium` takes these commands in by name."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from client import audit
from client.audit_words import in_words
from client.check import check
from client.check_all import problems_of
from client.check_plain import check_plain
from client.check_rows import several_rows
from client.check_training import doubts
from client.check_words import strange_renames
from client.cohorts import drawn
from client.commands.checking import check_here, site_file
from client.commands.cohort_words import cohort_in_words
from client.commands.joining import register
from client.ingest.bids import Wanted, import_bids
from client.ingest.decathlon import Columns, import_decathlon
from client.ingest.dicom import CasesBy, Plan, import_dicom
from client.ingest.drawn import import_files, read_pairs, read_patterns
from client.ingest.medmnist import Labels, import_medmnist
from client.ingest.nnunet import import_nnunet
from client.ingest.phantoms import write
from client.ingest.table import Roles, import_table
from client.keys import make_identity, public_half
from client.site import load_site
from common.phantoms.spec import load_spec
from common.settings import decoded, parse
from common.sites import Roster
from common.study import Study, read_study, study_hash

site_app = typer.Typer(no_args_is_help=True, help="What a hospital does with its own site.")
register(site_app)
import_app = typer.Typer(no_args_is_help=True, help="Write cohort.csv from what there is.")


def make_phantoms_for(sites_path: Path) -> None:
    """Write the phantom cohorts a roster asks for, where they are missing.

    Raises:
        ConfigError: the roster or the specification has mistakes.
    """
    settings = parse(Roster, sites_path.read_text(encoding="utf-8"), str(sites_path)).simulation
    if settings.phantoms is not None:
        spec = sites_path.parent / settings.phantoms
        write(
            load_spec(decoded(spec.read_bytes(), str(spec)), str(spec)),
            sites_path.parent / settings.phantoms_folder,
        )


def phantoms(
    spec: Annotated[Path, typer.Argument(help="such as studies/phantom_cohorts.yaml")],
    out: Annotated[Path, typer.Argument(help="folder for the sites' folders")],
) -> None:
    """Write made-up cohorts with a known truth."""
    read = load_spec(decoded(spec.read_bytes(), str(spec)), str(spec))
    for name, folder in write(read, out).items():
        sys.stdout.write(f"{name}: {folder}\n")


@import_app.command("decathlon")
def decathlon(  # noqa: PLR0913  (options of a command)
    dataset: Annotated[Path, typer.Argument(help="dataset.json, a Decathlon or MONAI data list")],
    splits: Annotated[Path, typer.Option("--splits", help="sites and splits, by patient")],
    out: Annotated[Path, typer.Option("--out", help="folder for the sites' folders")],
    image: Annotated[list[str], typer.Option("--image", help="name of each image")] = ["image"],  # noqa: B006
    mask: Annotated[str, typer.Option("--mask", help="name of the mask")] = "mask",
    link: Annotated[
        Literal["copy", "reference", "symlink"],
        typer.Option(help="what becomes of the images; all but copies need further_folders"),
    ] = "copy",
    test_labels: Annotated[
        Path | None, typer.Option("--test-labels", help="folder with the labels of tests")
    ] = None,
) -> None:
    """Write one folder a site with cohort.csv from a Decathlon or MONAI data list."""
    named = Columns(tuple(image), mask)
    report = import_decathlon(
        dataset, splits, out, columns=named, link=link, test_labels=test_labels
    )
    sys.stdout.write(f"{report}\n")


@import_app.command("table")
def table(  # noqa: PLR0913  (options of a command)
    table: Annotated[Path, typer.Argument(help="CSV of several centres, a row a case")],
    site: Annotated[
        list[str], typer.Option("--site", help="its column of the centre; of several, all")
    ],
    patient: Annotated[str, typer.Option("--patient", help="its column of the patient")],
    out: Annotated[Path, typer.Option("--out", help="folder for the sites' folders")],
    split: Annotated[str, typer.Option("--split", help="its column of train or test")] = "",
    rename: Annotated[list[str] | None, typer.Option("--rename", help="own=study")] = None,
    recode: Annotated[list[str] | None, typer.Option("--recode", help="column:old=new")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="column=text: rows with this text")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="image or mask: t1=images/{patient}_T1.nii.gz"),
    ] = None,
    files_in: Annotated[
        Path | None, typer.Option("--files-in", help="their folder; the table's where not given")
    ] = None,
) -> None:
    """Write one folder a site with cohort.csv from one table of several centres."""
    roles = Roles(tuple(site), patient, split, tuple(only or ()))
    drawn = read_patterns(files_in or table.parent, file) if file else None
    report = import_table(
        table, out, roles, renames=rename or (), recodes=recode or (), drawn=drawn
    )
    sys.stdout.write(f"{report}\n")


@import_app.command("medmnist")
def medmnist(
    npz: Annotated[Path, typer.Argument(help="a three-dimensional MedMNIST file, .npz")],
    splits: Annotated[Path, typer.Option("--splits", help="indices by site and part")],
    out: Annotated[Path, typer.Option("--out", help="folder for the sites' folders")],
    levels: Annotated[list[str], typer.Option("--level", help="name of label 0, of 1, ...")],
    image: Annotated[str, typer.Option("--image", help="column of the volume")] = "image",
    outcome: Annotated[str, typer.Option("--outcome", help="column of the label")] = "outcome",
) -> None:
    """Write one folder a site with cohort.csv from a MedMNIST file of volumes."""
    report = import_medmnist(npz, splits, out, Labels(image, outcome, tuple(levels)))
    sys.stdout.write(f"{report}\n")


@import_app.command("files")
def files(
    folder: Annotated[Path, typer.Argument(help="where the images and masks are")],
    out: Annotated[
        Path, typer.Option("--out", help="folder of the site, or of the sites' folders")
    ],
    file: Annotated[
        list[str], typer.Option("--file", help="image or mask: t1={site}/{case}_T1.nii.gz")
    ],
) -> None:
    """Write cohort.csv from files alone, found by patterns; the first one finds the cases."""
    for name, n in import_files(read_patterns(folder, file), out).items():
        sys.stdout.write(f"{name}: {n} cases\n")


@import_app.command("nnunet")
def nnunet(
    folder: Annotated[Path, typer.Argument(help="nnUNet_raw/DatasetXXX_Name")],
    out: Annotated[Path, typer.Option("--out", help="folder of the site")],
    image: Annotated[
        list[str] | None, typer.Option("--image", help="name of each channel, in their order")
    ] = None,
    mask: Annotated[str, typer.Option("--mask", help="name of the mask")] = "mask",
    patient: Annotated[
        str, typer.Option("--patient", help=r"patient in a case's name, such as '(\d+)_'")
    ] = "",
) -> None:
    """Write a site's folder with cohort.csv from nnU-Net's raw format; images stay there."""
    done = import_nnunet(folder, out, images=image or (), mask=mask, patient=patient)
    sys.stdout.write(f"{done}\n")


@import_app.command("bids")
def bids(
    folder: Annotated[Path, typer.Argument(help="a BIDS data set")],
    out: Annotated[Path, typer.Option("--out", help="folder of the site")],
    image: Annotated[list[str], typer.Option("--image", help="name and suffix: t1=acq-post_T1w")],
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", help="the same below derivatives: tumour=label-tumour_mask"),
    ] = None,
) -> None:
    """Write a site's folder with cohort.csv from BIDS; images stay where they are."""
    wanted = Wanted(read_pairs("--image", image), read_pairs("--mask", mask or ()))
    for name, n in import_bids(folder, out, wanted).items():
        sys.stdout.write(f"{name}: {n} cases\n")


@import_app.command("dicom")
def dicom(
    tree: Annotated[Path, typer.Argument(help="folder with DICOM files, at any depth")],
    out: Annotated[Path, typer.Option("--out", help="folder of the site")],
    image: Annotated[list[str], typer.Option("--image", help='name and pattern: "t2=MR *T2*"')],
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", help='name, image and pattern of the region: "tumour=t2:GTV*"'),
    ] = None,
    case: Annotated[CasesBy, typer.Option("--case", help="what a case is")] = "patient",
    prefer: Annotated[
        Literal["rtstruct", "seg"], typer.Option(help="which wins where both drew a region")
    ] = "seg",
) -> None:
    """Write a site's folder from a DICOM tree with RTSTRUCT or SEG."""
    masks = {
        name: (on, pattern)
        for name, text in read_pairs("--mask", mask or ()).items()
        for on, _, pattern in [text.partition(":")]
    }
    plan = Plan(read_pairs("--image", image), masks, case, prefer)
    sys.stdout.write(f"{import_dicom(tree, out, plan)}\n")


@site_app.command("audit")
def show_audit(
    site: Annotated[Path, typer.Argument(help="the site's site.yaml")],
    last: Annotated[int, typer.Option(min=1, help="how many of the last lines")] = 50,
) -> None:
    """Verify the site's audit log and say in words what left the site."""
    path = load_site(site_file(site)).workspace / "audit.jsonl"
    if not path.exists():
        sys.stderr.write(f"{path}: no audit log here; a site that ever replied has one\n")
        raise typer.Exit(1)
    entries = _verified(path)
    for ledger in sorted((path.parent / "ledger").glob("*.jsonl")):
        _verified(ledger)
    for entry in entries[-last:]:
        sys.stdout.write(in_words(entry) + "\n")


def _verified(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log and say that they are whole, or leave with an error."""
    try:
        entries, head = audit.entries(path), audit.read_head(path)
    except audit.AuditBroken as broken:
        sys.stderr.write(f"{path}: BROKEN: {broken}\n")
        raise typer.Exit(1) from None
    last = f", the last has sha256 {head.sha256}" if head and head.n else ""
    sys.stdout.write(f"{path}: {len(entries)} lines, the chain holds{last}\n")
    return entries


@site_app.command("key")
def make_key(
    site: Annotated[Path, typer.Argument(help="the site's site.yaml")],
    show: Annotated[bool, typer.Option("--show", help="print that of the key there is")] = False,
) -> None:
    """Make the site's identity key and print its public half, which goes into the rosters."""
    here = load_site(site)
    path = here.folder / here.settings.identity
    try:
        public = public_half(path) if show else make_identity(path)
    except FileExistsError:
        sys.stderr.write(f"{path}: there is a key, and it stays; print its public half: --show\n")
        raise typer.Exit(1) from None
    except ValueError:
        sys.stderr.write(f"{path}: this is no identity key\n")
        raise typer.Exit(1) from None
    sys.stdout.write(f"{public}\n")


@site_app.command("check")
def check_site(
    site: Annotated[Path, typer.Argument(help="the site's folder, or its site.yaml")],
    study: Annotated[Path | None, typer.Argument(help="the study file")] = None,
) -> None:
    """Check this machine and the cohort, against a study if given; nothing leaves the site."""
    fit = check_here(site)
    here = load_site(site_file(site))
    if study is None:
        for text, is_mistake in check_plain(here):
            fit = fit and not is_mistake
            sys.stdout.write(f"{text}\n")
        raise typer.Exit(0 if fit else 1)
    protocol = decoded(study.read_bytes(), str(study))
    wanted: Study = read_study(protocol, str(study))
    wrong = False
    for own, why in strange_renames(here.settings.columns, here.cohorts).items():
        wrong = True
        sys.stdout.write(f"{site_file(site)}: columns.{own}: {why}\n")
    for folder in here.cohorts:
        checked = check(
            wanted.cohort,
            folder,
            renames=here.settings.columns,
            further=here.further_folders,
            cache=here.room("cache", "check"),
        )
        for problem in problems_of(wanted, here.name, folder, checked):
            wrong = wrong or not problem.is_warning
            sys.stdout.write(f"{problem.text}\n")
        sound = {} if checked.findings else {here.name: drawn(wanted, checked.cases)}
        said = cohort_in_words(
            here, wanted, study_hash(protocol), checked, sound.get(here.name, ())
        )
        sys.stdout.writelines(f"{folder}: {text}\n" for text in said)
        for doubt in doubts(wanted, sound, all_here=False):
            wrong = wrong or doubt.stops
            sys.stdout.write(f"{doubt.text}\n")
        sys.stdout.writelines(f"{text}\n" for text in several_rows(wanted, sound))
        flow = checked.flow
        sys.stdout.write(f"{folder}: {flow.n_included} of {flow.n_screened} cases fit\n")
    raise typer.Exit(1 if wrong or not fit else 0)
