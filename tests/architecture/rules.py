"""The rules about the shape of the tree. Each takes the files (path -> text) and says what breaks it, one line a finding."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

Files = Mapping[str, str]
Rule = Callable[[Files], list[str]]

KERNEL_LINES = 2_300
FUNCTION_LINES = 60
FILE_LINES = 400
TEST_FILE_LINES = 500
ALONE = {"services/certs/data/verify_certificate.py", "services/certs/data/witness.py"}
"""Programs that people take away as one file, on purpose."""
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "impl", "misc"}
BEGIN_WITH_ONE = {"migrations", "data", "templates", "LC_MESSAGES", "golden"}
"""Folders that begin with one file and grow: migrations by number, rules by date, pages, catalogues, versions of an event."""


def python(files: Files) -> Iterator[tuple[str, ast.Module]]:
    """Every Python file, parsed."""
    return ((path, ast.parse(text)) for path, text in files.items() if path.endswith(".py"))


def lines(text: str) -> int:
    """Physical lines, comments and blank ones too: what a reader scrolls through."""
    return len(text.splitlines())


def code_lines(text: str) -> int:
    """Lines that do something: without blank ones, comments and docstrings, which nobody should save on."""
    said: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            said.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in said
        for number, line in enumerate(text.splitlines(), 1)
    )


OUTSIDE_THE_KERNEL = (
    "shared/events/",
    "shared/ui/",
    "shared/kafka/admin.py",
    "shared/kafka/ends.py",
    "shared/audit.py",
    "shared/jobs.py",
    "shared/vault.py",
)
"""Event types, the look of pages, what only operations use, and the libraries that stand alone: jobs by the clock, the vault (ADR 0009)."""


def kernel_is_small(files: Files) -> list[str]:
    """What every service stands on can be read in an afternoon (ADR 0009)."""
    kernel = {
        path: code_lines(text)
        for path, text in files.items()
        if path.startswith("shared/") and path.endswith(".py") and not path.startswith(OUTSIDE_THE_KERNEL)
    }
    total = sum(kernel.values())
    return [f"shared/ has {total} lines, {KERNEL_LINES} allowed: {kernel}"] if total > KERNEL_LINES else []


def files_are_short(files: Files) -> list[str]:
    """A file fits in a head."""
    found = []
    for path, text in files.items():
        allowed = TEST_FILE_LINES if path.startswith("tests/") or path in ALONE else FILE_LINES
        if path.endswith(".py") and lines(text) > allowed:
            found.append(f"{path} has {lines(text)} lines, {allowed} allowed")
    return found


def functions_are_short(files: Files) -> list[str]:
    """A function fits on a screen, its decorators apart."""
    return [
        f"{path}:{node.lineno} {node.name} has {length} lines, {FUNCTION_LINES} allowed"
        for path, tree in python(files)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def names_say_something(files: Files) -> list[str]:
    """No drawer for everything."""
    return [
        f"{path}: the name {part!r} says nothing"
        for path in files
        for part in (*PurePosixPath(path).parts[:-1], PurePosixPath(path).name.partition(".")[0])
        if part in FORBIDDEN_NAMES
    ]


def folders_hold_several(files: Files) -> list[str]:
    """A folder with a single file is a file in hiding. Those that every service has, and that grow, are free."""
    inside: defaultdict[PurePosixPath, set[str]] = defaultdict(set)
    for path in files:
        for child, folder in zip((p := PurePosixPath(path), *p.parents), p.parents, strict=False):
            inside[folder].add(child.name)
    return [
        f"{folder}/ holds only {found[0]}"
        for folder, names in sorted(inside.items())
        if len(found := sorted(names - {"__init__.py"})) == 1
        and not BEGIN_WITH_ONE & {*folder.parts, *names}
        and folder / found[0] not in inside
    ]


def no_lonely_abstractions(files: Files) -> list[str]:
    """An abstract class with one implementation is that implementation, written twice."""
    abstract: dict[str, str] = {}
    bases: defaultdict[str, int] = defaultdict(int)
    for path, tree in python(files):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                named = [ast.unparse(base).rpartition(".")[2].partition("[")[0] for base in node.bases]
                named += [
                    ast.unparse(keyword.value).rpartition(".")[2] for keyword in node.keywords if keyword.arg == "metaclass"
                ]
                if {"ABC", "ABCMeta"} & set(named):
                    abstract[node.name] = f"{path}:{node.lineno}"
                for name in named:
                    bases[name] += 1
    return [
        f"{where} {name} is abstract and has {bases[name]} implementation(s)"
        for name, where in abstract.items()
        if bases[name] < 2
    ]


def locks_name_no_address(files: Files) -> list[str]:
    """Where things come from is the machine's affair: a lock says what, and its hash."""
    address = re.compile(r"://|^\s*(--?(index-url|extra-index-url|find-links|i|f)\b)| @ ", re.MULTILINE)
    return [
        f"{path}: {match[0].strip()!r}"
        for path, text in files.items()
        if path.startswith("requirements.") or path.endswith(".lock")
        for match in address.finditer(text)
    ]


def locks_are_hashed(files: Files) -> list[str]:
    """Every package of the lock is one version, by its hash."""
    return [
        f"{path}: {entry.splitlines()[0]}"
        for path, text in files.items()
        if path in {"requirements.lock", "requirements.bootstrap"}
        for entry in re.split(r"\n(?=\S)", text.strip())
        if not entry.startswith("#") and not ("==" in entry and "--hash=sha256:" in entry)
    ]


def no_machine_in_the_tree(files: Files) -> list[str]:
    """No path of somebody's machine, no host of a package registry."""
    place = re.compile(
        r"(?<![\w./${}-])/(?:root|home|Users|work)/\w|"
        r"\b(?:pypi[.]org|pythonhosted[.]org|repo1?[.]maven|maven[.]org|npmjs[.](?:org|com)|crates[.]io|deb[.]debian)\b"
    )
    return [f"{path}: {match[0]!r}" for path, text in files.items() for match in place.finditer(text)]


def nothing_is_killed_by_name(files: Files) -> list[str]:
    """On a shared machine the namesake belongs to somebody else: stop what you started, by its id."""
    by_name = re.compile(r"\b(?:p[k]ill|kill[a]ll)\b")
    return [f"{path}: {match[0]}" for path, text in files.items() for match in by_name.finditer(text)]


def events_keep_their_bytes(files: Files) -> list[str]:
    """`events.data` is json: jsonb would change what was sent. Its number has no cache: order within a stream rests on that."""
    table = re.compile(
        r"(?:CREATE|ALTER)\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:ONLY\s+)?(?:\w+\.)?events\b.*?;", re.IGNORECASE | re.DOTALL
    )
    found = []
    for path, text in files.items():
        for match in table.finditer(text) if path.endswith((".sql", ".py")) else ():
            if re.search(r"\bdata\b[^,]*\bjsonb\b", match[0], re.IGNORECASE):
                found.append(f"{path}: events.data as jsonb")
            if re.search(r"\bCACHE\s+(?!1\b)\d+", match[0], re.IGNORECASE):
                found.append(f"{path}: events.seq with a cache")
    return found


CLOCKS = re.compile(
    r"\b(?:datetime[.](?:now|utcnow|today)|date[.]today|time[.](?:time|monotonic)|perf_counter|uuid[14]|secrets[.]\w+|random[.]\w+)\("
)


def rules_have_no_clock(files: Files) -> list[str]:
    """Clock and chance come in as arguments: what is decided or folded again, years later or on another machine, is the same."""
    return [
        f"{path}: {match[0]}"
        for path, text in files.items()
        if re.fullmatch(r"services/\w+/(?:domain|domain/\w+|reactions|reactions/\w+)[.]py", path)
        for match in CLOCKS.finditer(text)
    ]


def migrations_have_no_gap(files: Files) -> list[str]:
    """0001, 0002, 0003 …: two people who both add the next one find out before the database does."""
    numbers: defaultdict[PurePosixPath, list[str]] = defaultdict(list)
    for path in map(PurePosixPath, files):
        if path.parent.name == "migrations":
            numbers[path.parent].append(path.name)
    return [
        f"{folder}: {sorted(names)}"
        for folder, names in numbers.items()
        if [name[:5] for name in sorted(names)] != [f"{n:04}_" for n in range(1, len(names) + 1)]
        or not all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name) for name in names)
    ]


def services_are_alike(files: Files) -> list[str]:
    """The same files in each service; one without a need for a file leaves it out, none adds another kind."""
    modules = {"__main__", "app", "settings", "domain", "store", "reactions", "jobs", "web", "pages", "streams"}
    allowed = {"__init__.py", "templates", "migrations", "data", "schema.sql", *modules, *(f"{name}.py" for name in modules)}
    return [
        f"{path}: services have no {path.parts[2]}"
        for path in map(PurePosixPath, files)
        if path.parts[0] == "services" and len(path.parts) > 2 and path.parts[2] not in allowed
    ]


ALL: tuple[Rule, ...] = (
    kernel_is_small,
    files_are_short,
    functions_are_short,
    names_say_something,
    folders_hold_several,
    no_lonely_abstractions,
    locks_name_no_address,
    locks_are_hashed,
    no_machine_in_the_tree,
    nothing_is_killed_by_name,
    events_keep_their_bytes,
    rules_have_no_clock,
    migrations_have_no_gap,
    services_are_alike,
)
