"""The right of one person to one device, given by a referrer and spent once. Stream `("voucher", SHA-256 of the code)`.

The code is the secret: who has it has the device. It is made from a key of ours and the referrer's own number for the request, so
that asking twice gives the same code and nobody has to store it. Events and tables know its fingerprint only.
"""

import base64
import hmac
import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Literal, assert_never
from uuid import UUID

from shared.errors import Malformed, NotYet, Refused
from shared.events.base import DeviceType, stream_id
from shared.events.distribution import VoucherEvent, VoucherIssued, VoucherRevoked, VoucherSpent

LETTERS = 16
"""Of a code: 80 bits, 5 a letter. Short enough to type, long enough that guessing is hopeless even with all fingerprints known."""
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O, U; what a hand writes for them is read as 1, 1, 0."""
GOOD_FOR_DAYS = 30
AT_MOST_DAYS = 90
"""How long a voucher lasts when its referrer says nothing, and at most. Assumed."""
TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())

RevocationReason = Literal["lost", "mistake", "not_entitled"]


def make_code(secret: str, structure: str, request: str) -> str:
    """Make the code of the voucher that `structure` asked for under its own number `request`."""
    mark = hmac.digest(secret.encode(), f"voucher\n{structure}\n{request}".encode(), "sha256")
    letters = base64.b32encode(mark)[:LETTERS].translate(TO_CROCKFORD).decode()
    return "BON-" + "-".join(letters[at : at + 4] for at in range(0, LETTERS, 4))


def voucher_id(code: str) -> UUID:
    """Name the voucher of a code, however it was typed: with or without dashes, in capitals or not, O for 0."""
    typed = re.sub(r"[\s\-–—.]", "", code.upper()).removeprefix("BON").translate(str.maketrans("OIL", "011"))
    if len(typed) != LETTERS or set(typed) - set(ALPHABET):
        raise Malformed("voucher_code_unreadable", letters=LETTERS)
    return stream_id("voucher", sha256(typed.encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """What we know of a voucher."""

    status: Literal["unknown", "issued", "spent", "revoked"] = "unknown"
    structure: str = ""
    region: str = ""
    device_type: DeviceType = "other"
    expires: date | None = None
    sale_id: UUID | None = None
    spent_in: str | None = None
    spent_at: datetime | None = None
    reason: str | None = None


def last_day(today: date, asked: date | None, known: Voucher | None = None) -> date:
    """Settle the last day of a voucher. A request made again keeps the day of the first time."""
    if known is not None and known.expires is not None and asked in {None, known.expires}:
        return known.expires
    if asked is None:
        return today + timedelta(days=GOOD_FOR_DAYS)
    if not today <= asked <= today + timedelta(days=AT_MOST_DAYS):
        raise Malformed("voucher_day_out_of_bounds", at_most_days=AT_MOST_DAYS)
    return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueVoucher:
    """A referrer gives it to a person."""

    id: UUID
    structure: str
    region: str
    device_type: DeviceType
    expires: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendVoucher:
    """A sale uses it, in any structure. `on` is the day in France."""

    id: UUID
    sale_id: UUID
    structure: str
    device_type: DeviceType
    at: datetime
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeVoucher:
    """The referrer takes it back."""

    id: UUID
    reason: RevocationReason


Command = IssueVoucher | SpendVoucher | RevokeVoucher


def decide(voucher: Voucher, command: Command) -> list[VoucherEvent]:
    """Say what happens, or refuse. A command already carried out yields no event."""
    match command:
        case IssueVoucher():
            if voucher.status == "unknown":
                return [
                    VoucherIssued(
                        structure=command.structure,
                        device_type=command.device_type,
                        expires=command.expires,
                        region=command.region,
                    )
                ]
            if (voucher.structure, voucher.device_type, voucher.expires) != (
                command.structure,
                command.device_type,
                command.expires,
            ):
                raise Refused("voucher_differs", device_type=voucher.device_type, expires=str(voucher.expires))
            return []
        case SpendVoucher():
            return spend(voucher, command)
        case RevokeVoucher(reason=reason):
            if voucher.status == "unknown":
                raise NotYet("voucher_unknown")
            if voucher.status == "spent":
                raise already_spent(voucher)
            return [] if voucher.status == "revoked" else [VoucherRevoked(reason=reason)]
        case _:
            assert_never(command)


def spend(voucher: Voucher, command: SpendVoucher) -> list[VoucherEvent]:
    """Use it, once, in time, for what it says. The same sale again is no second use."""
    if voucher.status == "unknown":
        raise NotYet("voucher_unknown")
    if voucher.status == "spent":
        if voucher.sale_id == command.sale_id:
            return []
        raise already_spent(voucher)
    if voucher.status == "revoked":
        raise Refused("voucher_revoked", reason=voucher.reason)
    if voucher.expires is not None and command.on > voucher.expires:
        raise Refused("voucher_expired", expires=voucher.expires.isoformat())
    if voucher.device_type != command.device_type:
        raise Refused("voucher_other_type", voucher=voucher.device_type, device=command.device_type)
    return [VoucherSpent(sale_id=command.sale_id, structure=command.structure, spent_at=command.at)]


def already_spent(voucher: Voucher) -> Refused:
    """Say when it was spent, and not where: where a person buys is that person's affair."""
    return Refused("voucher_already_spent", spent_at=voucher.spent_at.isoformat() if voucher.spent_at else None)


def evolve(voucher: Voucher, event: VoucherEvent) -> Voucher:
    """Give the voucher after the event."""
    match event:
        case VoucherIssued():
            return replace(
                voucher,
                status="issued",
                structure=event.structure,
                region=event.region,
                device_type=event.device_type,
                expires=event.expires,
            )
        case VoucherSpent():
            return replace(voucher, status="spent", sale_id=event.sale_id, spent_in=event.structure, spent_at=event.spent_at)
        case VoucherRevoked(reason=reason):
            return replace(voucher, status="revoked", reason=reason)
        case _:
            assert_never(event)
