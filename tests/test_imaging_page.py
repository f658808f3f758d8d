"""IMAGING.md: its examples pass the check of a study, its tables name every field and default."""

import re
from importlib import import_module
from inspect import get_annotations
from pathlib import Path
from textwrap import indent

import pytest
import yaml
from pydantic import BaseModel

from common.sites import PolicySettings
from common.step import Step
from common.study import read_study

PAGE = Path(__file__).parents[1] / "IMAGING.md"
TEXT = PAGE.read_text(encoding="utf-8")
COHORT, *EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
POLICIES = [example for example in EXAMPLES if example.startswith("policy:")]
WHOLE = [example for example in EXAMPLES if example.startswith("name:")]
STEPS = [example for example in EXAMPLES if example not in POLICIES + WHOLE]
TABLES = re.findall(r"<!-- fields: (\w+)\.(\w+) -->\n\n((?:\|.*\n)+)", TEXT)
NEEDED, ELSEWHERE = "needed", "see below"


@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: ", ".join(yaml.safe_load(steps)))
def test_every_example_is_a_study_without_a_mistake(steps: str) -> None:
    text = f"name: example\n{COHORT}steps:\n{indent(steps, '  ')}"
    assert set(read_study(text, "example.yaml").bound) == set(yaml.safe_load(steps))


def test_the_first_study_is_whole() -> None:
    (text,) = WHOLE
    assert list(read_study(text, "my_study.yaml").bound) == ["outline", "found", "accuracy"]


def test_the_example_of_a_policy_is_one() -> None:
    (example,) = POLICIES
    policy = PolicySettings.model_validate(yaml.safe_load(example)["policy"])
    assert (policy.per_site, policy.share_network) == (True, True)


@pytest.mark.parametrize(("module", "model", "rows"), TABLES, ids=[of[1] for of in TABLES])
def test_every_field_stands_in_its_table_with_its_default(
    module: str, model: str, rows: str
) -> None:
    kind: type[BaseModel] = getattr(import_module(f"common.tasks.{module}"), model)
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", rows, re.MULTILINE))
    assert shown == {name: _default(kind, name, shown.get(name, "")) for name in _fields(kind)}


def test_links_within_the_page_lead_to_a_heading() -> None:
    headings = [re.sub(r"[^\w -]", "", h.lower()) for h in re.findall(r"^#+ (.*)", TEXT, re.M)]
    anchors = {heading.replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
    for name in re.findall(r"\]\(([\w./]+)[)#]", TEXT):
        assert (PAGE.parent / name).exists(), name


def _fields(model: type[BaseModel]) -> list[str]:
    """Return a model's fields, less its kind and what every step has."""
    of_all = set(Step.model_fields) if issubclass(model, Step) else set()
    own = set(get_annotations(model))
    return [n for n in model.model_fields if n != "kind" and (n in own or n not in of_all)]


def _default(model: type[BaseModel], name: str, shown: str) -> str:
    """Return what a table should show of a default, written as the page writes it if it fits."""
    field = model.model_fields[name]
    if field.is_required():
        return NEEDED
    if isinstance(field.default, BaseModel):
        return ELSEWHERE
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    said = yaml.safe_load(shown.strip("`")) if shown.startswith("`") else None
    return shown if shown.startswith("`") and said == value else f"`{value}`"
