"""What a private training cost, as the page tells it: epsilon in words, and Dice lost."""

from pathlib import Path

from tests.server.report.folders import STUDY, answers, journal, page_of, training, write_run

_SEGMENT = STUDY[STUDY.index("  segment:") : STUDY.index("  masks: {kind")]
_NOISY = _SEGMENT.replace("  segment:", "  quiet:").replace(
    "    rounds: 4\n", "    rounds: 4\n    privacy: {epsilon: 3, delta: 1.0e-6}\n"
)
BOTH = STUDY.replace(_SEGMENT, _SEGMENT + _NOISY.replace("    baselines: [local, pooled]\n", ""))


def _page(folder: Path) -> str:
    plain = answers()["segment"]["development"]
    worse = {name: value - 0.125 for name, value in plain["score"].items()}
    quiet = {"quiet": {"development": {**training(4), "score": worse}}}
    return page_of(write_run(folder, journal({**answers(), **quiet}), study=BOTH))


def test_the_page_states_epsilon_and_delta_and_what_is_not_covered(tmp_path: Path) -> None:
    page = _page(tmp_path)
    assert "epsilon 3, delta 1e-06 at each site" in page
    assert "20.1 times as sure" in page  # exp(3)
    assert "Not covered: the number of training cases" in page


def test_the_page_says_what_privacy_cost_against_the_same_without(tmp_path: Path) -> None:
    page = _page(tmp_path)
    assert "What privacy cost in utility" in page
    assert "lost by privacy, against segment" in page
    assert "0.125" in page


def test_a_training_without_privacy_says_nothing_of_it(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, journal(answers())))
    assert "epsilon" not in page
