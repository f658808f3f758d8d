"""Work on many cases in processes: a process that dies takes no other case along."""

from client.pool import each
from tests.dying_work import square_or_die


def test_one_case_that_kills_its_process_costs_only_itself() -> None:
    found = sorted(each(square_or_die, [*range(12)], processes=2, crashed=lambda n: -n))
    assert found == sorted([n**2 for n in range(12) if n != 5] + [-5])
