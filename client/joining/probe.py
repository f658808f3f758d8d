"""Can the coordinator be reached, is it the right one, and do the clocks agree?"""

import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from client.joining.place import Place

_TIMEOUT_S = 10.0
_WELL = 200


@dataclass(frozen=True)
class Probe:
    """What one call at the coordinator's door came to.

    Attributes:
        well: it answered, with a certificate this site trusts.
        words: what is the matter, or that nothing is.
        clock_s: how far this machine's clock is ahead of the coordinator's, in seconds;
            None where it was not told.
        seconds: how long the call took.
    """

    well: bool
    words: str
    clock_s: float | None = None
    seconds: float = 0.0


def probe(place: Place, timeout_s: float = _TIMEOUT_S) -> Probe:
    """Call the coordinator once."""
    address = place.kit.coordinator
    trust = ssl.create_default_context(cafile=str(place.authority))
    begin = time.time()
    try:
        answer = httpx.get(f"https://{address}/health", verify=trust, timeout=timeout_s)
    except httpx.ProxyError as error:
        return Probe(False, f"the proxy of this network refuses {address}: {error}")
    except httpx.TimeoutException:
        return Probe(False, f"{address} does not answer; a firewall may swallow what is sent")
    except httpx.HTTPError as error:
        return Probe(False, _in_words(address, str(error)))
    seconds = time.time() - begin
    if answer.status_code != _WELL:
        return Probe(False, f"{address} answers {answer.status_code}; its SuperLink may be down")
    return Probe(True, f"{address} answers", _ahead(answer, begin + seconds / 2), seconds)


def _in_words(address: str, error: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in error:
        return (
            f"{address} shows a certificate that this site's kit does not trust: a wrong clock, "
            f"a proxy that opens TLS, or not the coordinator ({error})"
        )
    return f"{address} cannot be reached: {error}"


def _ahead(answer: httpx.Response, middle: float) -> float | None:
    """Return the clock's lead over the other side's, which it tells in whole seconds."""
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
    return middle - (theirs + 0.5)
