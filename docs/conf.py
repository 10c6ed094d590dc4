# How the documentation is built: `make docs`. Warnings are errors there, and every reference must lead somewhere.

import atexit
import os
import shutil
import tempfile

# Autodoc imports Airflow, which writes its configuration somewhere.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-of-docs-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

import airflow_provider_trackingmore  # noqa: E402

project = "airflow-provider-trackingmore"
author = "the airflow-provider-trackingmore contributors"
copyright = "2026, " + author
release = version = airflow_provider_trackingmore.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
python_use_unqualified_type_names = True

# Their documentation is elsewhere, and building ours must not need the network.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(airflow|collections|enum|concurrent|datetime|fastapi|pendulum|pytest|requests|tenacity|typing|uvicorn)\..*",
    ),
    ("py:.*", r"[a-z]+(\[.*\])?"),  # built-in types
    ("py:.*", r"(.*\.)?_?[TU]"),  # type variables
    ("py:.*", r"Airflow\w+|[A-Z]\w*(Error|Exception)|Any|Callable|Context|Iterable|Iterator|Mapping|Path|Sequence"),
    ("py:class", r"BaseOperator|RetryDecision|TaskInstanceKey"),  # imported for their types alone
]
