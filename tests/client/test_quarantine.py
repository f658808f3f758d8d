"""Who was put aside by the check of a cohort is written once a run, also without images."""

import logging

import pytest

from client.quarantine import COHORT_CHECK, FILE, Aside, write_asides, write_cohort_asides

SAID = "row 1: age: 300 is out of range"
CHECKED = [Aside(f"c{i}", COHORT_CHECK, "value", SAID) for i in (1, 2)]


def test_the_file_and_the_log_name_them_once(
    tmp_path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("client"), "propagate", True)  # off where a site has run
    with caplog.at_level(logging.WARNING, logger="client"):
        write_cohort_asides(tmp_path, CHECKED)
        write_asides(tmp_path, CHECKED, "radiomics", [Aside("c3", "radiomics", "failed", "empty")])
        write_cohort_asides(tmp_path, CHECKED)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert text.splitlines()[1] == f"c1,{COHORT_CHECK},value,{SAID}"
    assert len(text.splitlines()) == 4
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["c1", "c2"]
    assert SAID in caplog.text
