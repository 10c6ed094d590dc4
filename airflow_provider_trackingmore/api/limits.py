"""The limits of API v2, with their sources in ``reference/trackingmore-api.md``, and limits of our own."""

from __future__ import annotations

DEFAULT_BASE_URL = "https://api.trackingmore.com/v2"
"""Section 0."""

REQUESTS_PER_SECOND = 1.0
"""Section 4: the default of v2, per account."""

REALTIME_REQUESTS_PER_SECOND = 3.0
"""Section 4: for ``POST /trackings/realtime`` alone. Only one page documents it, so it is not the default."""

REALTIME_REPEAT_SECONDS = 7200.0
"""Section 4: each shipment only once in 2 hours."""

COOL_DOWN_SECONDS = 120.0
"""Section 4: after a 429."""

BATCH_SIZE = 40
"""Sections 1.5 and 4: shipments per request. (The text of code 4020 says 200; the smaller number is safe.)"""

WAYBILLS = 20
"""Section 2.3 (4162): air waybills per request, according to one source on v4; none gives a number for v2."""

FILTER_NUMBERS = 40
"""Section 1.6: entries of the ``numbers`` or ``orders`` filter of a list request."""

PAGE_SIZE = 2000
"""Section 1.6: rows per page."""

DETECT_QUOTA = 0.2
"""Section 1.18: 5 requests cost one unit of quota."""

REMOTE_QUOTA = 0.2
"""Section 1.14: 5 requests cost one unit of quota."""

AIR_CARGO_QUOTA = 20
"""Section 1.16: units of quota per waybill."""

REFRESH_SECONDS = 3 * 3600
"""Section 4: the vendor queries a carrier every 3 to 6 hours; polling more often finds nothing new."""

# Our own limits ------------------------------------------------------------------------------------------------------

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""For a response that is not a page, decompressed. The largest known one, all carriers, has less than 1 MB."""

MAX_ROW_BYTES = 32 * 1024
"""On average per row of a page. Usual rows have 2 kB; one with 100 events on both legs has 30 kB."""

MAX_ROW_VALUES = 1000
"""JSON values per row on average; one with 100 events on both legs has 900."""

MAX_OTHER_VALUES = 100_000
"""JSON values of a response besides its rows, or of one that is not a page."""

MAX_NUMBER_LENGTH = 200
"""No carrier's numbers are nearly as long, and 40 of them still fit into a URL."""

MAX_FILTER_CHARACTERS = 4000
"""For one ``numbers`` filter, so that the URL stays below the limits of proxies."""

END_OF_YEAR_9999 = 253_402_300_800
"""Unix seconds: larger numbers are milliseconds."""

END_OF_YEAR_2099 = 4_102_444_800
"""Unix seconds: where a list without an upper bound ends. It fits the unsigned 32-bit numbers of databases."""
