"""What a study costs a patient is said in words before a hospital signs it."""

from pathlib import Path

from client.joining.privacy_words import privacy_in_words
from common.sites import PolicySettings
from common.study import read_study

STUDY = Path(__file__).parents[3] / "studies" / "private.yaml"


def _words(text: str, policy: PolicySettings) -> str:
    return " ".join(privacy_in_words(read_study(text, "study.yaml"), policy))


def test_epsilon_delta_and_what_is_not_covered_are_said() -> None:
    words = _words(STUDY.read_text(), PolicySettings(most_epsilon=12))
    assert "private: epsilon 8, delta 1e-05" in words
    assert "2.98e+03 times as sure" in words  # exp(8)
    assert "in all 12 rounds" in words
    assert "Not covered: the number of training cases" in words
    assert "split validation" in words
    assert "ages: epsilon 1" in words
    assert "this site's own alone would be worth epsilon 1.5" in words
    assert "policy allows epsilon 12" in words
    assert "NOT protected in this way: plain" in words


def test_a_study_without_noise_says_so() -> None:
    text = STUDY.read_text().replace("    noise: {epsilon: 1, delta: 1.0e-5}\n", "")
    text = text.replace("    privacy: {epsilon: 8, delta: 1.0e-5, clip_norm: 0.2}\n", "")
    assert "no epsilon is spent" in _words(text, PolicySettings())


def test_noisy_histograms_of_a_site_alone_are_said_to_add_up_over_columns() -> None:
    text = """
name: shapes
cohort: {columns: {age: {type: number}, size: {type: number}}}
steps:
  spread: {kind: moments, of: [age, size]}
  shapes: {kind: site_shapes, of: [age, size], scale: spread, epsilon: 2}
"""
    words = _words(text, PolicySettings(per_site=True, most_shapes_epsilon=3))
    assert "epsilon 2 a column" in words
    assert "over 2 columns it adds up to epsilon 4" in words
    assert "allows 3 (most_shapes_epsilon), so this site refuses" in words
    assert "allows 100 (most_shapes_epsilon)." in _words(text, PolicySettings(per_site=True))
