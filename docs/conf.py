"""The site: `make docs` builds it into docs/_build/html, without network, and a warning is an error."""

import inspect
import os
import re
import sys
import warnings

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import moestro
from moestro.errors import SearchWarning

project, author, copyright = "moestro", "The moestro developers", "The moestro developers"
version = release = moestro.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "examples"]
default_role = "py:obj"  # `name` in a docstring is a link where there is such a page
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = "moestro"
html_extra_path = ["llms.txt"]
html_static_path = ["_static"]
html_css_files = ["phone.css"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_math_renderer = "mathml"
html_sidebars = {"*": []}  # pages at the top have nothing below them
html_context = {"default_mode": "auto"}
# Pages that came with a report of a study are tables: they have no table of contents of their own.
myst_heading_anchors = 4
suppress_warnings = ["config.cache"]

templates_path = ["_templates"]
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", category=SearchWarning)
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__",
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": ("_repr_html_", "__repr__"),
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "plot_gallery": True,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "matplotlib_animations": False,
    "backreferences_dir": None,
    "reset_argv": lambda gallery_conf, script_vars: [],
}


FENCE = re.compile(r"<mo>([{}‖])</mo>")  # as high as a letter, as TeX has them
ROOMS = tuple(f"moestro.{room}." for room in ("experts", "gates", "penalties", "selection", "theory", "deep"))
LITERAL = re.compile(r"(``.*?``|`.*?`)")


def bars_are_absolute_values(app, what, name, obj, options, lines):
    """In a docstring |x| is an absolute value, not a substitution of reStructuredText."""
    in_math = False
    for i, line in enumerate(lines):
        begins = ".. math::" in line or line.rstrip().endswith("::")
        in_math = begins or (in_math and (line.startswith("    ") or not line.strip()))
        if "|" in line and not in_math and not line.lstrip().startswith((">>>", "...")):
            parts = LITERAL.split(line)
            lines[i] = "".join(p if j % 2 else p.replace("|", "\\|") for j, p in enumerate(parts))


def formulas_of_the_module(app, what, name, obj, options, lines):
    """A file of these rooms states its formula and its source once, at its top: a page has them as notes."""
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    if what not in ("class", "function") or module is None or not module.__name__.startswith(ROOMS):
        return
    text = (inspect.getdoc(module) or "").splitlines()
    if not text or module.__name__.count(".") < 2:
        return
    notes, indented = [], False
    for line in text:
        if line.startswith("    ") and not indented and not notes[-1]:
            notes += ["::", ""]
        indented = line.startswith("    ") or (indented and not line)
        notes.append(line)
    if "Notes" not in lines:
        lines += ["", "Notes", "-----", ""]
    at = lines.index("Notes") + 2
    lines[at:at] = [*notes, ""]


def formula(writer, node):
    """A formula as MathML, which browsers draw themselves, without a network and without a script."""
    block = isinstance(node, nodes.math_block)
    tag = "div" if block else "span"
    writer.body.append(writer.starttag(node, tag, "", CLASS="math"))
    drawn = tex2mathml(node.astext(), as_block=block)
    writer.body.append(FENCE.sub(r'<mo stretchy="false">\1</mo>', drawn) + f"</{tag}>")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))
    app.connect("autodoc-process-docstring", formulas_of_the_module, priority=90)
    app.connect("autodoc-process-docstring", bars_are_absolute_values, priority=100)
