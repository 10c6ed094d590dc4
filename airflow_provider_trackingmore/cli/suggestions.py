"""Suggestions for words that the user may have mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the most similar known word.

    :param word: the unknown word.
    :param known: the known words.
    :return: a clause to add to a message, such as ``"; did you mean 'delivered'?"``, or an empty text.
    """
    similar = difflib.get_close_matches(word.casefold(), list(known), n=1, cutoff=0.65)
    return f"; did you mean {similar[0]!r}?" if similar else ""
