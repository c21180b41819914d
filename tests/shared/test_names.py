"""Names: the same thing has the same id everywhere, and nothing else has it."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given as examples
from hypothesis import strategies as st

from shared.events.base import stream_id
from shared.kafka.wire import event_id, partition_of
from shared.message import Message
from shared.settings import served

CELLS = ["ara", "idf", "trira", "ares", "ares-sud"]


def test_an_id_is_fixed_for_ever() -> None:
    assert stream_id("device", "trira", "GRPC26-0008") == UUID("41e9715c-deb4-5fee-af18-465fc4982ebd")


@examples(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_other_parts_are_another_id(one: list[str], other: list[str]) -> None:
    """`("a:b", "c")` and `("a", "b:c")` had the same id once."""
    assert (stream_id("x", *one) == stream_id("x", *other)) == (one == other)


@examples(st.uuids(), st.integers(1, 2**31 - 1))
def test_the_id_of_an_event_is_a_uuid5_of_its_place(stream: UUID, version: int) -> None:
    assert event_id(stream, version) == str(uuid5(stream, str(version))).encode()


@examples(st.uuids(), st.integers(1, 12))
def test_a_key_lies_where_kafkas_own_clients_put_it(stream: UUID, partitions: int) -> None:
    key, every = str(stream).encode(), list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, every, every)


def test_the_cell_of_a_message_is_that_of_its_topic() -> None:
    message = Message("refurb.devices.ares-sud", 0, 0, UUID(int=1), 1, "t", datetime.now(UTC), {}, b"")
    assert message.cell == "ares-sud"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", CELLS),
        ("trira", ["trira"]),
        ("*,!trira", ["ara", "idf", "ares", "ares-sud"]),
        ("!trira,*", ["ara", "idf", "ares", "ares-sud"]),
        ("ares", ["ares"]),
        ("ares*,!ares-sud", ["ares"]),
    ],
)
def test_cells_are_chosen_by_pattern(pattern: str, expected: list[str]) -> None:
    assert served(pattern, CELLS) == expected


@pytest.mark.parametrize("pattern", ["nobody", "!trira", "trira,!trira"])
def test_a_pattern_that_leaves_no_cell_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match="names none of"):
        served(pattern, CELLS)
