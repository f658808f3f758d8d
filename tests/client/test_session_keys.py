"""A session has one key a site: with two, masks would stay in the sums, unseen."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from client import masking
from client.masking import join
from client.site import Site
from common.errors import Refused
from common.messages import Hello, Round
from server.simulate import simulate
from tests.attacks.coordinator import coordinator
from tests.runs import make_run

STEPS = "  table1: {kind: describe, of: [marker]}\n"


def test_a_site_greeted_again_says_the_same_key(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    site, hello = attacker.site("east"), Hello("run-1", "s1", attacker.run.study_hash)
    with ThreadPoolExecutor(8) as pool:  # a worker each in a simulation, a process each elsewhere
        keys = {found.session_key for found in pool.map(lambda _: join(site, hello), range(32))}
    assert len(keys) == 1
    other = join(site, replace(hello, session="s2"))
    assert other.session_key not in keys


def test_a_site_answers_no_round_that_holds_another_key_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacker = coordinator(tmp_path, STEPS)
    real = masking._pair_keys

    def late(site, message, group):
        """Answer with the key of another greeting."""
        if site.name == "east":
            path = site.room("sessions") / f"{message.hello.run}.{message.hello.session}.key"
            path.write_bytes(bytes(range(32)))
        return real(site, message, group)

    monkeypatch.setattr(masking, "_pair_keys", late)
    with pytest.raises(Refused, match="roster_mismatch: east"):
        attacker.total("table1")


def test_sums_whose_masks_stay_are_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    monkeypatch.setattr(masking, "_pair_keys", _with_own_luck)
    with pytest.raises(RuntimeError, match="their masks do not belong together"):
        simulate(run, engine="threads")
    assert '"event": "total"' not in (run.folder / "journal.jsonl").read_text()


def _with_own_luck(site: Site, _: Round, group: tuple[str, ...]) -> dict[str, bytes]:
    return {name: sha256(site.name.encode()).digest() for name in group if name != site.name}
