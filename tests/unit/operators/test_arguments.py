"""The arguments of every operator are templated, only stored by ``__init__``, and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_trackingmore import operators, sensors, transfers
from airflow_provider_trackingmore.get_provider_info import get_provider_info
from airflow_provider_trackingmore.links import SHIPMENT_LINKS
from airflow_provider_trackingmore.operators.template_values import parse_bool
from airflow_provider_trackingmore.operators.trackings import GetTrackingsOperator, ListTrackingsOperator

SPENDS = {"CreateTrackingsOperator", "DetectCarrierOperator", "RemoteAreasOperator", "TrackAirCargoOperator"}


def classes(package: Any) -> Iterator[type]:
    """Yield the operator classes that the modules of a package define."""
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if cls.__module__ == module.name and issubclass(cls, BaseOperator):
                yield cls


DEFINED = list(classes(operators))
OPERATORS = [cls for cls in DEFINED if not any(issubclass(other, cls) for other in DEFINED if other is not cls)]
every_operator = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
every_class = pytest.mark.parametrize(
    "cls", [*DEFINED, *classes(sensors), *classes(transfers)], ids=lambda cls: cls.__name__
)


def own_arguments(cls: type) -> set[str]:
    """Return the constructor's arguments that this package adds to those of Airflow."""
    found: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.startswith("airflow_provider_trackingmore.") and "__init__" in vars(base):
            found |= set(inspect.signature(inspect.unwrap(vars(base)["__init__"])).parameters)
    return found - set(inspect.signature(BaseOperator.__init__).parameters) - {"self", "kwargs"}


def test_all_operators_are_tested() -> None:
    assert {cls.__name__ for cls in OPERATORS} == {
        "ChangeCarrierOperator",
        "CountByStatusOperator",
        "CreateTrackingsOperator",
        "DeleteTrackingsOperator",
        "DetectCarrierOperator",
        "GetAccountOperator",
        "GetTrackingsOperator",
        "ListCarriersOperator",
        "ListTrackingsOperator",
        "RealtimeTrackOperator",
        "RemoteAreasOperator",
        "StopUpdatesOperator",
        "TrackAirCargoOperator",
        "TransitTimesOperator",
        "UpdateTrackingsOperator",
    }


def test_the_metadata_lists_the_modules_of_all_operators_and_the_links() -> None:
    info = get_provider_info()
    listed = {module for entry in info["operators"] for module in entry["python-modules"]}
    assert listed == {cls.__module__ for cls in OPERATORS}
    assert info["extra-links"] == [f"{type(link).__module__}.{type(link).__qualname__}" for link in SHIPMENT_LINKS]


@every_operator
def test_every_own_argument_is_templated(operator: Any) -> None:
    assert own_arguments(operator) == set(operator.template_fields)
    assert len(operator.template_fields) == len(set(operator.template_fields))


@every_class
def test_the_constructor_only_stores_its_arguments(cls: type) -> None:
    """Templates are rendered later, so ``__init__`` could only decide on a template's text."""
    if "__init__" not in vars(cls):
        return
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(vars(cls)["__init__"])))).body
    assert isinstance(tree, ast.FunctionDef)
    for statement in tree.body:
        line = ast.unparse(statement)
        if line in ("self._start_requested = start_from_trigger", "_refuse_statuses(kwargs)"):
            continue  # neither decides on the text of a template
        kept = re.fullmatch(r"self\.(\w+) = (\w+)", line)
        own_state = re.fullmatch(r"self\._\w+: [^=]+ = (\{\}|None)", line)
        assert own_state or (kept and kept[1] == kept[2]) or re.fullmatch(r"super\(\)\.__init__\([^()]*\)", line), line


@every_operator
def test_the_docstring_names_the_endpoint_and_every_argument(operator: type) -> None:
    text = inspect.getdoc(operator) or ""
    assert re.search(r"``(GET|POST|PUT|DELETE) /\S+", text)
    assert set(re.findall(r"^:param (\w+):", text, re.M)) == set(operator.template_fields)  # type: ignore[attr-defined]
    assert "return" in text.lower()
    if operator.__name__ in SPENDS:
        assert re.search(r"\*\*[^*]*quota[^*]*\*\*", text), "the cost is in bold"
        assert "quota_floor" in operator.template_fields  # type: ignore[attr-defined]
    else:
        assert "quota_floor" not in operator.template_fields  # type: ignore[attr-defined]


@every_class
def test_tasks_about_shipments_link_to_their_pages(cls: Any) -> None:
    about_shipments = {"shipments", "tracking_number"} & set(cls.template_fields)
    assert cls.operator_extra_links == (SHIPMENT_LINKS if about_shipments else ())


@pytest.mark.parametrize("native", [False, True])
def test_templates_may_render_to_text_or_native_values(native: bool) -> None:
    with DAG("d", start_date=pendulum.datetime(2026, 1, 1), schedule=None, render_template_as_native_obj=native):
        task = ListTrackingsOperator(
            task_id="t",
            filters={"created_at_min": "{{ begin_date }}", "archived": "{{ 1 == 2 }}"},
            max_rows="{{ 5 + 5 }}",  # type: ignore[arg-type]
            path="{{ none }}",
            include_raw="{{ 1 == 2 }}",  # type: ignore[arg-type]
            trackingmore_conn_id="{{ 'track' ~ 'ing' }}",
        )
    task.render_template_fields({"begin_date": pendulum.datetime(2026, 3, 1)})  # type: ignore[typeddict-unknown-key]
    assert task.trackingmore_conn_id == "tracking"
    assert task.max_rows == (10 if native else "10")
    assert task.include_raw == (False if native else "False")
    assert parse_bool("include_raw", task.include_raw) is False
    assert task.path == (None if native else "None")


@pytest.mark.parametrize("native", [False, True])
def test_a_list_in_a_template_needs_native_rendering(native: bool) -> None:
    shipments: Any = "{{ [{'carrier_code': 'usps', 'tracking_number': '94'}] }}"
    with DAG("d", start_date=pendulum.datetime(2026, 1, 1), schedule=None, render_template_as_native_obj=native):
        task = GetTrackingsOperator(task_id="t", shipments=shipments, trackingmore_conn_id="none_such")
    task.render_template_fields({})
    with pytest.raises(Exception, match="none_such" if native else "render_template_as_native_obj=True"):
        task.execute({})
