"""The parcels of these tests by their state, with the sandbox's magic numbers."""

from __future__ import annotations

NUMBERS = {
    "delivered": "SBX-DELIVERED-1D",
    "exception": "SBX-EXCEPTION-1D",
    "expired": "SBX-EXPIRED-1D",
    "transit": "SBX-STUCK",
    "soon": "SBX-DELIVERED-5D",
    "pending": "SBX-PENDING",
    "missing": "SBX-NEVER",
}
AGES = {name: 0.0 if name == "pending" else 48.0 for name in NUMBERS}
"""Hours since their registration."""
PERSONAL = {
    "customer_name": "Ada Lovelace",
    "customer_email": "ada.lovelace@example.com",
    "customer_phone": "+442079460958",
    "order_id": "A-1001",
}


def parcel(name: str) -> dict[str, str]:
    """Return a parcel by its state; ``transit#2`` is another parcel in the same state."""
    state, _, number = name.partition("#")
    return {"carrier_code": "usps", "tracking_number": f"{NUMBERS[state]}-{number or 1}"}
