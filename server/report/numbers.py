"""Numbers as a radiology journal prints them."""

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number that can be printed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def fixed(value: Any, decimals: int) -> str:
    """Return a number with so many decimals; a dash where there is none."""
    if not is_number(value):
        return NONE
    text = f"{value:,.{decimals}f}".replace(",", SPACE)
    if not text.strip(f"-0.{SPACE}"):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def whole(value: Any) -> str:
    """Return a count."""
    return fixed(value, 0)


def significant(value: Any, digits: int = 3) -> str:
    """Return a number of unknown size with so many significant digits."""
    if not is_number(value):
        return NONE
    if isinstance(value, int) or value == 0:
        return whole(value)
    power = math.floor(math.log10(abs(value)))
    if -4 <= power < 6:
        return fixed(value, max(0, digits - 1 - power))
    mantissa = fixed(value / 10**power, digits - 1)
    return f"{mantissa} {TIMES} 10^{power}".replace("-", MINUS)


def decimals_for(spread: Any, *, most: int = 4) -> int:
    """Return how many decimals a mean deserves, given its standard deviation."""
    if not is_number(spread) or spread <= 0:
        return 1
    return min(most, max(0, 2 - math.floor(math.log10(spread))))


def interval(low: Any, high: Any, decimals: int) -> str:
    """Return the two ends of an interval."""
    return f"{fixed(low, decimals)} to {fixed(high, decimals)}"


def estimate(found: dict[str, Any], key: str, decimals: int, level: str = "") -> str:
    """Return a number with its `ci_low` and `ci_high`, where there are any."""
    text = fixed(found.get(key), decimals)
    if not is_number(found.get("ci_low")) or not is_number(found.get("ci_high")):
        return text
    ends = interval(found["ci_low"], found["ci_high"], decimals)
    return f"{text} ({level}{ends})"


def p_value(p: Any) -> str:
    """Return a p value: two decimals, three where they matter."""
    if not is_number(p):
        return NONE
    if p < 0.001:
        return "< 0.001"
    if p > 0.99:
        return "> 0.99"
    fine = p < 0.01 or round(p, 2) == 0.05
    return fixed(p, 3 if fine else 2)


def told_p(found: Mapping[str, Any], suffix: str = "") -> str:
    """Return a test's p, or below which level it lies, where no more may be told of it."""
    below = f"p_below{suffix}"
    if below not in found:
        return p_value(found.get(f"p{suffix}"))
    return f"< {found[below]:g}" if found[below] else "0.05 or more"


def share(part: Any, of: Any) -> str:
    """Return a count with its percentage of a total."""
    if not is_number(part):
        return NONE
    if not is_number(of) or not of:
        return whole(part)
    percent = 100 * part / of
    return f"{whole(part)} ({fixed(percent, 0 if of < 200 else 1)}{SPACE}%)"


def plural(n: int, one: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{whole(n)} {one if n == 1 else many or one + 's'}"


def seconds(value: Any) -> str:
    """Return a duration."""
    if not is_number(value):
        return NONE
    if value < 1:
        return f"{whole(1000 * value)}{SPACE}ms"
    if value < 60:
        return f"{significant(float(value), 2)}{SPACE}s"
    if value < 5400:
        return f"{fixed(value / 60, 1)}{SPACE}min"
    hours, rest = divmod(round(value / 60), 60)
    return f"{hours}{SPACE}h {rest:02d}{SPACE}min"


def size(value: Any) -> str:
    """Return a number of bytes."""
    if not is_number(value):
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{significant(value if unit == 'B' else float(value), 3)}{SPACE}{unit}"
