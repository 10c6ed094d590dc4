"""What a load returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class LineageDataset(NamedTuple):
    """A dataset by the naming rules of OpenLineage.

    :param namespace: such as ``postgres://db.example:5432``.
    :param name: such as ``shop.public.trackings``.
    """

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load returns.

    :param summary: counts and target, JSON-serializable: what the operator returns. Never rows.
    :param targets: what was written, for OpenLineage.
    """

    summary: dict[str, object]
    targets: Sequence[LineageDataset] = ()
