"""Every documented limit of API v2, once, with its source in ``reference/trackingmore-api.md``. Enforces nothing."""

from __future__ import annotations

DEFAULT_BASE_URL = "https://api.trackingmore.com/v2"
"""Section 0."""

REQUESTS_PER_SECOND = 1.0
"""Section 4: v2 default, per account."""

REALTIME_REQUESTS_PER_SECOND = 3.0
"""Section 4: for ``POST /trackings/realtime`` alone; one page documents it, so it is an option and not the default."""

REALTIME_REPEAT_SECONDS = 7200.0
"""Section 4: the same shipment once per 2 hours."""

COOL_DOWN_SECONDS = 120.0
"""Section 4: after a 429."""

BATCH_SIZE = 40
"""Sections 1.5 and 4: shipments in one call. (The text of code 4020 says 200; the smaller number is safe.)"""

WAYBILLS = 20
"""Section 2.3 (4162): air waybills in one call, as one source says of v4; none names a number for v2."""

FILTER_NUMBERS = 40
"""Section 1.6: entries in the ``numbers`` or ``orders`` filter of one list call."""

PAGE_SIZE = 2000
"""Section 1.6: rows of one list page."""

DETECT_QUOTA = 0.2
"""Section 1.18: 5 calls cost one unit of quota."""

REMOTE_QUOTA = 0.2
"""Section 1.14: 5 calls cost one unit of quota."""

AIR_CARGO_QUOTA = 20
"""Section 1.16: units of quota for each waybill."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Ours: an answer that is no page, decompressed. The largest known, all carriers, has less than 1 MB."""

MAX_ROW_BYTES = 32 * 1024
"""Ours: a row of a page on average. Usual rows have 2 kB, one with 100 events on both legs has 30 kB."""

MAX_ROW_VALUES = 1000
"""Ours: JSON values in a row on average; one with 100 events on both legs has 900."""

MAX_OTHER_VALUES = 100_000
"""Ours: JSON values of an answer beside its rows, or of one that is no page."""

REFRESH_SECONDS = 3 * 3600
"""Section 4: the vendor asks a carrier again every 3 to 6 hours; polling faster finds nothing new."""

MAX_NUMBER_LENGTH = 200
"""Ours, not the vendor's: no carrier's number comes near it, and 40 of them still fit a URL."""

MAX_FILTER_CHARACTERS = 4000
"""Ours: the length of one ``numbers`` filter, so that the URL stays below what proxies take."""
