"""Words for people: every reason has a sentence."""

import pytest

from common.errors import Reason
from server.report import words
from server.report.words import REASONS


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_sentence(reason: Reason) -> None:
    assert reason in REASONS
    assert "_" not in words.reason_in_words(str(reason))


def test_a_reason_of_a_later_version_is_shown_as_it_is() -> None:
    assert words.reason_in_words("budget_spent_soon") == "budget spent soon"


def test_a_failure_names_all_its_reasons() -> None:
    said = words.failure_in_words("too few sites: no_reply, disk_full")
    assert said == "no reply within the deadline; the site's disk was full"
    assert words.failure_in_words("ValueError: x") == "ValueError: x"
    assert words.reasons_of("ValueError: x") == ()


def test_names_are_listed_as_in_a_sentence() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
