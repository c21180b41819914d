from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st

from services.distribution.app import VOUCHER
from services.distribution.domain.vouchers import IssueVoucher, RevokeVoucher, SpendVoucher, make_code, voucher_id
from shared.errors import Malformed
from shared.events.distribution import VoucherRevoked
from tests.distribution.samples import HERE, ISSUED, NOON, OTHER_SALE, SALE, SPENT
from tests.support.given import given

ID = UUID(int=7)
REVOKED = VoucherRevoked(reason="lost")


def issue(**changed: object) -> IssueVoucher:
    told = {"id": ID, "structure": HERE, "region": "idf", "device_type": "laptop", "expires": date(2026, 12, 18)}
    return IssueVoucher(**(told | changed))  # type: ignore[arg-type]


def spend(**changed: object) -> SpendVoucher:
    told = {"id": ID, "sale_id": SALE, "structure": HERE, "device_type": "laptop", "at": NOON, "on": date(2026, 11, 23)}
    return SpendVoucher(**(told | changed))  # type: ignore[arg-type]


def test_it_is_issued_once() -> None:
    given(VOUCHER).when(issue()).then(ISSUED)
    given(VOUCHER, ISSUED).when(issue()).then()
    given(VOUCHER, ISSUED).when(issue(device_type="tablet")).refuses("voucher_differs")


def test_it_is_spent_once() -> None:
    given(VOUCHER, ISSUED).when(spend()).then(SPENT)
    given(VOUCHER, ISSUED, SPENT).when(spend(sale_id=OTHER_SALE)).refuses("voucher_already_spent")


def test_the_same_sale_again_is_no_second_use() -> None:
    later = datetime(2027, 1, 30, tzinfo=UTC)
    given(VOUCHER, ISSUED, SPENT).when(spend(at=later, on=later.date())).then()


def test_it_is_good_until_the_evening_of_its_last_day() -> None:
    given(VOUCHER, ISSUED).when(spend(on=date(2026, 12, 18))).then(SPENT)
    given(VOUCHER, ISSUED).when(spend(on=date(2026, 12, 19))).refuses("voucher_expired")


def test_it_is_good_for_what_it_says() -> None:
    given(VOUCHER, ISSUED).when(spend(device_type="tablet")).refuses("voucher_other_type")


def test_it_can_be_taken_back_before_use() -> None:
    revoke = RevokeVoucher(id=ID, reason="lost")
    given(VOUCHER).when(revoke).refuses("voucher_unknown")
    given(VOUCHER, ISSUED).when(revoke).then(REVOKED)
    given(VOUCHER, ISSUED, REVOKED).when(revoke).then()
    given(VOUCHER, ISSUED, SPENT).when(revoke).refuses("voucher_already_spent")
    given(VOUCHER, ISSUED, REVOKED).when(spend()).refuses("voucher_revoked")


def test_an_unknown_one_buys_nothing() -> None:
    given(VOUCHER).when(spend()).refuses("voucher_unknown")


def test_the_same_request_gives_the_same_code_and_another_another() -> None:
    code = make_code("secret", HERE, "1")
    assert code == make_code("secret", HERE, "1")
    assert len({code, make_code("secret", HERE, "2"), make_code("secret", "STR-0002", "1"), make_code("other", HERE, "1")}) == 4


@whatever(secret=st.text(min_size=1), request=st.text())
def test_a_code_is_read_however_it_was_written(secret: str, request: str) -> None:
    code = make_code(secret, HERE, request)
    expected = voucher_id(code)
    sloppy = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert voucher_id(sloppy) == voucher_id(code.removeprefix("BON-")) == voucher_id(f" {code}. ") == expected


@pytest.mark.parametrize("typed", ["", "BON", "BON-1234", "BON-1234-5678-9012-345U", "GRPC26-0008", "BON-1234-5678-9012-34567"])
def test_what_is_no_code_is_said_to_be_none(typed: str) -> None:
    with pytest.raises(Malformed, match="voucher_code_unreadable"):
        voucher_id(typed)
