"""The documentation of the loaded tables matches the schema."""

from __future__ import annotations

import pytest

from docs import data_model

from .conftest import DOCS


@pytest.mark.parametrize("name", data_model.files())
def test_the_description_of_the_tables_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == data_model.files()[name], "run: python docs/data_model.py"
