"""Each rule sees what it is there for, and leaves alone what only looks like it."""

import pytest

from tests.architecture import rules

LONG = "def f() -> None:\n" + "    pass\n" * 60
EVENTS = "CREATE TABLE events (\n    seq bigint GENERATED ALWAYS AS IDENTITY ({cache}),\n    data {type} NOT NULL\n);"
LOCKED = "idna==3.20 \\\n    --hash=sha256:00\n    # via x\n"


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (rules.kernel_is_small, {"shared/a.py": "x\n" * 2_301}),
        (rules.kernel_is_small, {"shared/kafka/a.py": "x\n" * 1_200, "shared/b.py": "x\n" * 1_200}),
        (rules.files_are_short, {"services/refurb/store.py": "\n" * 401}),
        (rules.files_are_short, {"tests/test_a.py": "\n" * 501}),
        (rules.functions_are_short, {"deploy/a.py": LONG}),
        (
            rules.functions_are_short,
            {"deploy/a.py": "class A:\n" + "\n".join("    " + line for line in f"async {LONG}".splitlines())},
        ),
        (rules.names_say_something, {"shared/utils.py": ""}),
        (rules.names_say_something, {"tests/helpers/a.py": ""}),
        (rules.folders_hold_several, {"shared/a/__init__.py": "", "shared/a/b.py": "", "shared/c.py": ""}),
        (rules.folders_hold_several, {"docs/a/b.md": "", "docs/c.md": ""}),
        (rules.no_lonely_abstractions, {"a.py": "class A(ABC): ...\nclass B(A): ..."}),
        (rules.no_lonely_abstractions, {"a.py": "class A(metaclass=abc.ABCMeta): ..."}),
        (rules.locks_name_no_address, {"requirements.lock": "--index-url https://example.org/simple\n" + LOCKED}),
        (rules.locks_name_no_address, {"requirements.lock": "--find-links wheels\n" + LOCKED}),
        (rules.locks_name_no_address, {"deploy/local/kafka.lock": "https://example.org/kafka.jar 00\n"}),
        (rules.locks_name_no_address, {"requirements.lock": "idna @ file.whl --hash=sha256:00\n"}),
        (rules.locks_are_hashed, {"requirements.lock": LOCKED + "attrs==26.1.0\n"}),
        (rules.locks_are_hashed, {"requirements.bootstrap": "uv>=0.13 \\\n    --hash=sha256:00\n"}),
        (rules.no_machine_in_the_tree, {"a.md": "see /" + "root/notes"}),
        (rules.no_machine_in_the_tree, {"a.py": 'open("/' + 'home/someone/a")'}),
        (rules.no_machine_in_the_tree, {"a.md": "from pypi" + ".org"}),
        (rules.nothing_is_killed_by_name, {"a.sh": "p" + "kill kafka"}),
        (rules.nothing_is_killed_by_name, {"a.sh": "kill" + "all java"}),
        (rules.events_keep_their_bytes, {"shared/kernel.sql": EVENTS.format(cache="CACHE 1", type="jsonb")}),
        (rules.events_keep_their_bytes, {"shared/kernel.sql": EVENTS.format(cache="CACHE 10", type="json")}),
        (rules.events_keep_their_bytes, {"m/0002_a.sql": "alter " + "table refurb.events alter column data type jsonb;"}),
        (rules.rules_have_no_clock, {"services/refurb/domain/device.py": "at = datetime.now(UTC)"}),
        (rules.rules_have_no_clock, {"services/intake/domain.py": "i = uuid4()"}),
        (rules.rules_have_no_clock, {"services/certs/reactions.py": "day = date.today()"}),
        (rules.migrations_have_no_gap, {"services/a/migrations/0002_b.sql": ""}),
        (rules.migrations_have_no_gap, {"a/migrations/0001_b.sql": "", "a/migrations/0003_b.sql": ""}),
        (rules.migrations_have_no_gap, {"a/migrations/0001_b.sql": "", "a/migrations/0001_c.sql": ""}),
        (rules.migrations_have_no_gap, {"a/migrations/0001_b.py": ""}),
        (rules.services_are_alike, {"services/refurb/grading.py": ""}),
        (rules.services_are_alike, {"services/refurb/rules/a.json": ""}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_rule_sees_what_breaks_it(rule: rules.Rule, files: rules.Files) -> None:
    assert rule(files)


GOOD = {
    "shared/events/a.py": "x\n" * 400,
    "shared/events/b.py": "x\n" * 400,
    "shared/ui/a.py": "x\n" * 400,
    "shared/ui/b.py": "x\n" * 400,
    "shared/kafka/__init__.py": "x\n" * 300,
    "shared/kafka/a.py": LONG.replace("    pass\n", "", 1),
    "shared/kafka/b.py": "class Read(Protocol): ...",
    "shared/kernel.sql": EVENTS.format(cache="CACHE 1", type="json") + "CREATE TABLE views (data jsonb);",
    "services/refurb/__init__.py": "",
    "services/refurb/domain/grading.py": "class A(ABC): ...\nclass B(A): ...\nclass C(A): ...",
    "services/refurb/domain/device.py": "def decide(now: datetime) -> UUID: ...",
    "services/refurb/jobs.py": "datetime.now(UTC)",
    "services/refurb/migrations/0001_devices.sql": "",
    "services/refurb/templates/home.html": "/homepage /workshop /works/",
    "services/refurb/templates/fr.html": "",
    "services/certs/migrations/0001_a.sql": "",
    "services/certs/migrations/0002_b.sql": "",
    "requirements.lock": LOCKED,
    "deploy/local/kafka.lock": "org.apache.kafka:kafka_2.13:4.3.1 00\n",
    "deploy/local/kafka.py": "os.killpg(1, 9)",
}


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.__name__)
def test_a_rule_leaves_the_rest_alone(rule: rules.Rule) -> None:
    assert rule(GOOD) == []
