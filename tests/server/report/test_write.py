"""The page as a whole: what it says, what it must not say, that it always appears."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from common.analyses.publish import SMALLEST_CELL
from server.report.record import read_record
from server.report.sections.outcome import key_numbers
from server.report.write import write_report
from tests.server.report.folders import (
    STUDY,
    answers,
    journal,
    page_of,
    refusal,
    table_one,
    write_run,
)

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Tags(HTMLParser):
    """Collects tags, texts and ids, and checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(write_run(tmp_path_factory.mktemp("runs") / "run", journal(answers())))


def test_every_section_appears(page: str) -> None:
    tags = Tags(page)
    sections = [a["id"] for tag, a in tags.seen if tag == "section"]
    wanted = "findings study cohort results rounds deviations privacy provenance"
    assert sections == wanted.split()
    links = [a["href"] for tag, a in tags.seen if tag == "a"]
    assert {f"#{section}" for section in sections} <= set(links)


def test_tags_are_closed_and_ids_are_used_once(page: str) -> None:
    tags = Tags(page)
    assert tags.open == []
    ids = [a["id"] for _, a in tags.seen if a.get("id")]
    assert len(ids) == len(set(ids))


def test_a_link_within_a_picture_leads_to_a_part_of_it(page: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= ids


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    tags = Tags(page)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in tags.seen}
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(address.startswith("#") for address in addresses)
    assert "@import" not in page
    assert "@font-face" not in page


def test_pictures_speak_to_screen_readers(page: str) -> None:
    pictures = [a for tag, a in Tags(page).seen if tag == "svg"]
    assert len(pictures) >= 3
    for attributes in pictures:
        assert attributes["role"] == "img"
        for id_ in (attributes["aria-labelledby"] or "").split():
            assert re.search(rf'id="{re.escape(id_)}">[^<]+<', page)


@pytest.mark.parametrize(
    "sentence",
    [
        "Organs on MRI",
        "After Doe et al., 2024",
        "Finished. Every step was answered.",
        "The roster names 4 developing sites and 1 external site",
        "Train a network that finds front and back in t1",
        "Only cases of the test split.",
        "61 [54, 70]",
        "53 (50 %)",
        "not released",
        "The weights after 4 rounds had the best mean validation Dice: front 0.900, back 0.800",
        "front 0.870 (SD 0.040, 30 cases)",
        "Lowest of the sites shown, mean Dice of the federated network: front 0.810",
        "federated \N{MINUS SIGN} pooled",
        "+0.040",
        "the hospital releases no numbers of its own",
        "None: every site that was asked replied in every round.",
        "What left the sites",
        "consortium simulate study.yaml --sites sites.yaml",
        "numpy 2.4.6",
    ],
)
def test_the_page_says(page: str, sentence: str) -> None:
    words = Tags(page).words.replace("\N{NO-BREAK SPACE}", " ")
    assert sentence in words


def test_figures_lie_beside_the_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", journal(answers()))
    write_report(run)
    names = {path.name for path in (run.folder / "figures").iterdir()}
    assert names == {"participation.svg", "segment-learning.svg", "accuracy-dice.svg"}
    for path in (run.folder / "figures").iterdir():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
        assert path.stat().st_size < 100_000


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / k / "run", journal(answers())) for k in "ab"]
    pages = [write_report(run).read_bytes() for run in runs]
    assert pages[0] == pages[1]
    for path in (runs[0].folder / "figures").iterdir():
        assert path.read_bytes() == (runs[1].folder / "figures" / path.name).read_bytes()


EVIL = "<script>alert(1)</script>"


def test_what_files_say_is_no_html(tmp_path: Path) -> None:
    study = STUDY.replace("Organs on MRI", EVIL).replace("title: Age", f'title: "{EVIL}"')
    study = study.replace("unit: years", 'unit: "--><b>$x_1$"')
    events = journal(answers())
    events.insert(-1, {"event": "lost", "problem": f"{EVIL}/x", "site": EVIL, "reason": EVIL})
    page = page_of(write_run(tmp_path / "run", events, study=study))
    assert "<script" not in page
    assert "<b>" not in page
    assert Tags(page).open == []
    assert EVIL in Tags(page).words


def test_what_files_say_is_no_html_within_a_picture(tmp_path: Path) -> None:
    found = answers()
    for values in (found["segment"]["development"], found["segment"]["pooled"]):
        for line in values["history"]:
            if "score" in line:
                line["score"] = {"</text><script>x": 0.5, "$\\frac{": 0.4}
    page = page_of(write_run(tmp_path / "run", journal(found)))
    assert "<script" not in page
    assert Tags(page).open == []
    assert "$\\frac{" in Tags(page).words


def test_a_run_that_has_not_begun_has_a_page(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", []))
    assert "The run has not begun; 0 of 4 steps answered so far." in Tags(page).words
    assert "No answer yet." in page


def test_an_unfinished_run_says_so_and_shows_what_there_is(tmp_path: Path) -> None:
    found = {"table_1": answers()["table_1"]}
    run = write_run(tmp_path / "run", journal(found, end=False))
    before = b'{"event": "answ'
    with (run.folder / "journal.jsonl").open("ab") as file:
        file.write(before)
    words = Tags(page_of(run)).words
    assert "Not finished." in words
    assert "1 of 4 steps answered so far" in words
    assert "mean (SD)" in words
    assert (run.folder / "journal.jsonl").read_bytes().endswith(before)


def test_a_resumed_run_is_unfinished_until_it_ends_again(tmp_path: Path) -> None:
    events = [*journal(answers()), {"event": "session", "session": "t", "sites": []}]
    words = Tags(page_of(write_run(tmp_path / "run", events))).words
    assert "Not finished." in words
    assert "restarted 1 time" in words


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    why = "too few sites: no_reply, out_of_memory"
    events = [
        *journal({}),
        {"event": "failed", "problem": "table_1/development", "why": why},
        {"event": "failed", "problem": "masks/", "why": "needs segment, which gave no answer"},
        {"event": "end", "failed": {}},
    ]
    words = Tags(page_of(write_run(tmp_path / "run", events))).words
    assert "Failed. No step of the study gave an answer." in words
    assert "no reply within the deadline; the site's computer ran out of memory" in words
    assert "needs segment, which gave no answer" in words


def test_deviations_are_counted_by_site_and_reason(tmp_path: Path) -> None:
    events = journal(answers())
    lost = {"event": "lost", "problem": "segment/development", "site": "south"}
    at = next(i for i, e in enumerate(events) if e["event"] == "round" and e["round"] == 2)
    events[at + 1 : at + 1] = [
        {**lost, "reason": "no_reply"},
        {**lost, "reason": "no_reply"},
        {"event": "left_out", "problem": "segment/development", "site": "south"},
        {"event": "absent", "site": "abroad"},
        {"event": "absent", "site": "abroad"},
    ]
    words = Tags(page_of(write_run(tmp_path / "run", events))).words
    assert (
        "Finished with deviations. Not every site took part throughout: abroad and south" in words
    )
    row = "segment: developing sites together no reply within the deadline 2"
    assert f"south {row}" in words
    assert "was left out of step segment" in words
    assert words.count("did not join within the time to wait") == 1
    assert "did not join within the time to wait (2 times)" in words


def test_a_journal_of_an_older_kind_is_enough(tmp_path: Path) -> None:
    slim = [e for e in journal(answers()) if e["event"] not in ("exchanged", "round", "session")]
    words = Tags(page_of(write_run(tmp_path / "run", slim))).words
    assert "No round has been asked yet." in words
    assert "front 0.870" in words


def test_answers_are_read_from_their_file_too(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [{"event": "end"}])
    (run.folder / "answers.json").write_text(json.dumps({"answers": answers()}))
    assert "front 0.870" in Tags(page_of(run)).words


def test_hidden_cells_stay_hidden(tmp_path: Path) -> None:
    found = answers()
    found["table_1"]["site.east"] = table_one(20, None, None)
    found["table_1"]["external"] = found["table_1"]["site.abroad"] = table_one(17, None, None)
    words = Tags(page_of(write_run(tmp_path / "run", journal(found)))).words
    assert "hidden" in words
    assert f"fewer than {SMALLEST_CELL} patients" in words


def test_what_a_site_keeps_to_itself_cannot_be_had_by_subtraction(page: str) -> None:
    words = Tags(page).words
    table = words[words.index("Characteristics of the cases") : words.index("SD: standard")]
    assert "Not shown by itself, in any step: east." in words
    assert "Every total of which it is part includes its cases" in words
    assert "those of west that were not released in " in words
    assert "16 (53 %)" in table.replace("\N{NO-BREAK SPACE}", " ")  # north
    assert "9 (45" not in table  # east: its counts would give away those of west
    assert "20" not in re.findall(r"\d+", table)


def test_a_site_that_refuses_nothing_costs_nobody_a_column(tmp_path: Path) -> None:
    found = answers()
    found["table_1"]["site.west"] = table_one(30, 16, 14)
    found["accuracy"]["site.west"] = found["accuracy"]["site.north"]
    events = [e for e in journal(found) if e["event"] not in ("lost", "failed")]
    words = Tags(page_of(write_run(tmp_path / "run", events))).words
    assert "Not shown by itself" not in words
    assert "9 (45" in words
    assert "Finished. Every step was answered by every site it asked." in words


def test_the_worst_site_is_named_only_where_all_are_shown(page: str, tmp_path: Path) -> None:
    assert "Not shown, and maybe lower: east and west." in Tags(page).words
    found = answers()
    for site in ("east", "west"):
        found["accuracy"][f"site.{site}"] = found["accuracy"]["site.north"]
    events = [e for e in journal(found) if e["event"] not in ("lost", "failed")]
    words = Tags(page_of(write_run(tmp_path / "run", events))).words
    assert "Worst site, mean Dice of the federated network: front 0.810" in words
    assert "maybe lower" not in words


def test_the_check_of_the_cohort_says_how_many_cases_there_are(tmp_path: Path) -> None:
    study = STUDY.replace("steps:", "steps:\n  flow: {kind: check_cohort}", 1)
    found = {**answers(), "flow": {"development": {"n_screened": 140, "n_included": 131}}}
    run = write_run(tmp_path / "run", journal(found), study=study)
    assert ("Cases, developing sites", "131") in key_numbers(read_record(run))


def test_what_failed_in_one_session_and_was_answered_in_the_next_is_no_failure(
    tmp_path: Path,
) -> None:
    found = {**answers(), "masks": {"development": {"n": 3}}}
    events = [{"event": "failed", "problem": "masks/", "why": "needs segment"}, *journal(found)]
    failed = read_record(write_run(tmp_path / "run", events)).failed
    assert "" not in failed["masks"]


def test_an_answer_of_another_form_is_shown_as_tables(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = answers()
    found["table_1"] = {"development": {"n": 33, "something": {"else": 0.25}}}
    words = Tags(page_of(write_run(tmp_path / "run", journal(found)))).words
    assert "Something" in words
    assert "0.250" in words
    assert "its answer is shown as plain tables" in caplog.text


def test_a_refused_whole_is_told_from_a_refused_part(tmp_path: Path) -> None:
    found = {k: v for k, v in answers().items() if k != "table_1"}
    events = journal(found)
    events[-1:-1] = refusal("table_1/development", "west", "cohort_too_small")
    words = Tags(page_of(write_run(tmp_path / "run", events))).words
    assert "Finished with failures. No answer from 1 step: table_1." in words
    assert "fewer cases than the hospital's policy asks for" in words


def test_a_table_of_many_columns_is_as_wide_as_the_window_and_scrolls(page: str) -> None:
    tags = Tags(page)
    broad = [a for tag, a in tags.seen if tag == "div" and a.get("class") == "wide broad"]
    assert "Characteristics of the cases" in {str(a["aria-label"]) for a in broad}
    css = page[page.index("<style>") : page.index("</style>")]
    assert ".wide { overflow-x: auto;" in css
    sizes = re.findall(r"^table[^{]*{[^}]*font-size: ([^;]+);", css, re.MULTILINE)
    assert len(set(sizes)) == 1, "tables that stand side by side have one size of letters"
