# How the documentation is built: `make docs`. Warnings are errors there, and every reference must lead somewhere.

import atexit
import builtins
import itertools
import os
import pydoc
import re
import shutil
import sys
import tempfile
import typing

# Autodoc imports Airflow, which writes its configuration somewhere.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-of-docs-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from docutils import nodes  # noqa: E402

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
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_title = f"{project} {release}"
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
python_use_unqualified_type_names = True

nitpicky = True
# Imported for type checkers only.
nitpick_ignore = [("py:class", "BaseOperator"), ("py:class", "Context"), ("py:class", "TaskInstanceKey")]
nitpick_ignore += [("py:class", "OperatorLineage")]
nitpick_ignore += [("py:class", "FoundT")]  # a type variable


def external_name(app, env, node, contnode):
    """Accept a reference to another package's object, and only if that object exists.

    Nothing is linked: building the documentation must not need the network. Names of our own package get no such
    treatment, so a reference to one that does not exist, or that no page documents, is a warning and fails the build.
    """
    if node.get("refdomain") != "py":
        return None
    name = re.sub(r"\[.*", "", node["reftarget"])
    module = sys.modules.get(node.get("py:module") or "builtins")
    found = getattr(module, name, None) or getattr(builtins, name, None) or pydoc.locate(name)
    origin = getattr(found, "__module__", None) or getattr(found, "__name__", project)
    ours = origin.partition(".")[0] == airflow_provider_trackingmore.__name__
    known = isinstance(found, typing.TypeVar) or (found is not None and not ours)
    return contnode if known else None


def add_index_entries(app, docname, source):
    """Turn comments like ``<!-- index: 429, rate limit -->`` into index entries, which come first in a search."""
    source[0] = re.sub(r"^<!-- index: (.*) -->$", _index_directive, source[0], flags=re.MULTILINE)


def _index_directive(comment):
    entries = ", ".join(f"! {entry}" for entry in comment[1].split(", "))
    return f"```{{index}} {entries}\n```"


def mark_addresses(app, doctree):
    """Let addresses in tables wrap anywhere; names stay whole."""
    for literal in doctree.findall(nodes.literal):
        if "/" in literal.astext():
            literal["classes"].append("address")


def label_cells(app, pagename, templatename, context, doctree):
    """Give the cells of tables of three or more columns their headings: on a phone, the style shows rows as lists."""
    if "body" in context:
        context["body"] = re.sub(r"<table\b.*?</table>", _labelled_table, context["body"], flags=re.DOTALL)


def _labelled_table(table):
    headings = [re.sub(r"<.*?>", "", text) for text in re.findall(r"<th\b[^>]*>(.*?)</th>", table[0], re.DOTALL)]
    if len(headings) < 3:
        return table[0]
    columns = itertools.cycle(headings)
    cells = re.sub(r"<td\b", lambda _: f'<td data-label="{next(columns)}"', table[0])
    classes = "stacked many-columns" if len(headings) > 8 else "stacked"
    return cells.replace('class="docutils', f'class="{classes} docutils', 1)


def setup(app):
    app.connect("source-read", add_index_entries)
    app.connect("missing-reference", external_name)
    app.connect("doctree-read", mark_addresses)
    app.connect("html-page-context", label_cells)
