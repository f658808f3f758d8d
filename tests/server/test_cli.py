"""The command: every mistake at once and in words, before anything runs."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import yaml

from client.ingest.phantoms import write
from common.phantoms.spec import load_spec
from server.cli import MISTAKE, main
from tests.runs import STUDY, make_run
from tests.training import PHANTOMS
from tests.training import STUDY as TRAINING


def _consortium(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["consortium", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_roster_with_three_mistakes_names_all_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    roster = tmp_path / "sites.yaml"
    roster.write_text(
        "sites:\n"
        "  north: {simulate: {cohort: north}, rol: develop}\n"
        "  south: {role: develope, simulate: {cohort: south}}\n"
        "quorum: three\n"
    )
    code = _consortium(monkeypatch, "check", tmp_path / "study.yaml", "--sites", roster)
    said = capsys.readouterr().err
    assert code == MISTAKE
    assert f'{roster}:2: sites.north.rol: unknown key; did you mean "role"?' in said
    assert f"{roster}:3: sites.south.role" in said
    assert f"{roster}:4: quorum" in said
    assert len(said.splitlines()) == 3


def test_mistakes_of_study_and_roster_come_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study, roster = tmp_path / "study.yaml", tmp_path / "sites.yaml"
    study.write_text(STUDY.replace("of: [marker]", "of: [markr]").replace("sex: [f]", "sex: [w]"))
    roster.write_text("sites: {}\n")
    assert _consortium(monkeypatch, "check", study, "--sites", roster) == MISTAKE
    said = capsys.readouterr().err
    assert 'unknown column "markr" (did you mean "marker"?)' in said
    assert 'unknown level "w"' in said
    assert str(roster) in said


@pytest.fixture
def phantoms(tmp_path: Path) -> Path:
    """Return a folder with the tiny training study, its roster and its cohorts."""
    write(load_spec(PHANTOMS, "phantoms.yaml"), tmp_path / "cohorts")
    names = ("north", "east", "south", "west", "abroad")
    sites = {n: {"simulate": {"cohort": f"cohorts/{n}"}} for n in names}
    sites["abroad"]["role"] = "external"  # type: ignore[assignment]
    (tmp_path / "study.yaml").write_text(TRAINING)
    (tmp_path / "sites.yaml").write_text(yaml.safe_dump({"sites": sites}))
    return tmp_path


def test_every_mistake_of_every_cohort_is_said_before_anything_runs(
    phantoms: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {
        n: sorted((phantoms / "cohorts" / n / "images").glob("*_t1.nii.gz"))
        for n in ("north", "east")
    }
    images["north"][0].unlink()
    _move(_mask(images["east"][0]))
    _relabel(_mask(images["east"][1]))
    south = phantoms / "cohorts" / "south" / "cohort.csv"
    south.write_text(south.read_text() + _second_case(south))
    west = phantoms / "cohorts" / "west" / "cohort.csv"
    west.write_text(west.read_text().splitlines()[0] + "\n")
    code = _consortium(
        monkeypatch, "simulate", phantoms / "study.yaml", "--sites", phantoms / "sites.yaml",
        "--runs", phantoms / "runs", "--leave-out",
    )  # fmt: skip
    said = capsys.readouterr().err
    assert code == MISTAKE
    assert images["north"][0].name in said
    assert "another grid" in said
    assert "label" in said
    assert "south_001" in said
    assert "west" in said
    stopping = [line for line in said.splitlines() if line.partition(": ")[2].startswith("stops: ")]
    assert {line.partition(":")[0] for line in stopping} == {"west"}
    assert not any(images["north"][0].name in line for line in stopping)
    assert "The study cannot run with these cohorts: mend what `stops` it" in said
    assert f"it, {len(stopping)} in all." in said
    assert "which --leave-out could leave out, as the others are." in said
    assert not list((phantoms / "runs").glob("tiny-*"))


def _mask(image: Path) -> Path:
    return image.with_name(image.name.replace("_t1", "_organ"))


def _move(path: Path) -> None:
    mask = SimpleITK.ReadImage(str(path))
    mask.SetOrigin(tuple(o + 5 for o in mask.GetOrigin()))
    SimpleITK.WriteImage(mask, str(path))


def _relabel(path: Path) -> None:
    mask = SimpleITK.ReadImage(str(path))
    voxels = SimpleITK.GetArrayFromImage(mask)
    changed = SimpleITK.GetImageFromArray(np.where(voxels == 2, 7, voxels).astype(np.uint8))
    changed.CopyInformation(mask)
    SimpleITK.WriteImage(changed, str(path))


def _second_case(cohort: Path) -> str:
    """Return a row that puts the first patient into another split."""
    heading, first = (line.split(",") for line in cohort.read_text().splitlines()[:2])
    row = dict(zip(heading, first, strict=True))
    row["split"] = "test" if row["split"] != "test" else "train"
    row["case_id"] += "_again"
    return ",".join(row.values()) + "\n"


def test_a_file_that_is_not_there_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _consortium(monkeypatch, "check", tmp_path / "no.yaml") == MISTAKE
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("no.yaml: there is no such file; see its name and the folder you are in")
    )


def test_help_says_what_an_argument_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Click 8.5 takes the words of typer's arguments away."""
    assert _consortium(monkeypatch, "report", "--help") == 0
    assert "the run's folder or name" in capsys.readouterr().out


@pytest.mark.parametrize("which", ["study", "site", "sites"])
def test_schemas_are_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    assert _consortium(monkeypatch, "schema", which) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "object"


def test_the_audit_of_a_simulated_site_is_shown_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path)
    from server.simulate import simulate

    simulate(run, engine="threads")
    site = run.folder / "sites" / "east" / "site.yaml"
    assert _consortium(monkeypatch, "site", "audit", site) == 0
    said = capsys.readouterr().out
    assert "the chain holds" in said
    assert "masked, only the sum with 3 other sites can be read" in said
    log = next((tmp_path / "runs" / ".sites").glob("east-*")) / "audit.jsonl"
    log.write_text(log.read_text().replace('"round": 1', '"round": 9', 1))
    assert _consortium(monkeypatch, "site", "audit", site) == 1
    assert "BROKEN" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--runs", "a_file/runs")])
def test_a_check_leaves_nothing_in_a_folder_and_needs_none_to_write_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    make_run(tmp_path / "made")
    here = tmp_path / "here"
    here.mkdir()
    (here / "a_file").touch()
    monkeypatch.chdir(here)
    files = (tmp_path / "made" / "study.yaml", "--sites", tmp_path / "made" / "sites.yaml")
    assert _consortium(monkeypatch, "check", *files, *words) == 0
    assert capsys.readouterr().out == "no mistakes found\n"
    assert [path.name for path in here.iterdir()] == ["a_file"]


def test_study_and_roster_swapped_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path)
    study, roster = tmp_path / "study.yaml", tmp_path / "sites.yaml"
    assert _consortium(monkeypatch, "check", roster, "--sites", study) == MISTAKE
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"{roster}: expected a study, and this is a roster; ")
    assert said[1].startswith(f"{study}: expected a roster, and this is a study; ")


def test_a_site_s_own_name_of_a_column_must_stand_in_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path)
    study, roster = tmp_path / "study.yaml", tmp_path / "sites.yaml"
    table = tmp_path / "cohorts" / "north" / "cohort.csv"
    table.write_text(table.read_text().replace("age", "Alter", 1))
    sites = yaml.safe_load(roster.read_text())
    sites["sites"]["north"]["simulate"]["columns"] = {"Altr": "age"}
    roster.write_text(yaml.safe_dump(sites))
    assert _consortium(monkeypatch, "check", study, "--sites", roster) == MISTAKE
    said = capsys.readouterr().err
    assert "sites.north.simulate.columns.Altr: no such column" in said
    assert 'did you mean "Alter"?' in said


def test_warnings_are_counted_and_what_may_not_be_meant_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "name: s\ncohort:\n"
        "  images: {t1: {modality: MR}}\n"
        "  masks: {organ: {on: t1, labels: {organ: 1}}}\n"
        "  columns: {age: {type: integer, range: [0, 99], missing: ['9']}}\n"
        "steps:\n  flat:\n    kind: train\n    rounds: 1\n    task:\n"
        "      kind: segmentation\n      images: [t1]\n      mask: organ\n      dimensions: 2\n"
        "      recipe: {size: [16, 16]}\n",
        encoding="utf-8",
    )
    assert _consortium(monkeypatch, "check", study) == 0
    said = capsys.readouterr()
    assert said.out == "no mistakes; 1 warning above\n"
    assert f'{study}:14: steps.flat.task.dimensions: note: 2, and "t1" is a volume: ' in said.err
    assert "every slice along z is learnt from" in said.err
