"""Points in time on the wire: RFC 3339 in UTC, or a Unix number; inside they are Unix seconds.

Not ``datetime``: importing and using it costs more than the arithmetic.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Final

# RFC 3339 section 5.6; the offset must say UTC. A second of 60 is a leap second.
_FORMAT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d{1,9})?([Zz]|[+-]00:00)\Z",
    re.ASCII,
)
_LAST_SECOND: Final = 253402300799  # the end of the year 9999
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse(text: str) -> float:
    """Unix seconds of an RFC 3339 timestamp. Raises ValueError with what is wrong with it."""
    found = _FORMAT.match(text)
    if found is None:
        raise ValueError("is not RFC 3339 in UTC, like 2026-02-03T04:05:06Z")
    date, hour, minute, second, fraction, _ = found.groups()
    seconds = _midnight(date) + int(hour) * 3600 + int(minute) * 60 + int(second)
    return seconds + float(fraction) if fraction else float(seconds)


def from_number(value: float) -> float:
    """``value`` if it can be Unix seconds from 1970 to 9999. Raises ValueError."""
    if 0 <= value <= _LAST_SECOND:
        return float(value)
    if value > 0:
        raise ValueError("is beyond the year 9999: are these milliseconds?")
    raise ValueError("is before 1970")


def show(seconds: float) -> str:
    """``seconds`` as RFC 3339 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@lru_cache(maxsize=4)
def _midnight(date: str) -> int:
    year, month, day = int(date[:4]), int(date[5:7]), int(date[8:])
    if year < 1970:
        raise ValueError("is before 1970")
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _MONTH_DAYS[month - 1] + (leap and month == 2):
        raise ValueError("is no day of the calendar")
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400
    days += sum(_MONTH_DAYS[: month - 1]) + (leap and month > 2) + day - 1
    return (days - 719162) * 86400  # days from 0001-01-01 to 1970-01-01
