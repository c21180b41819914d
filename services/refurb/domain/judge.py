"""Says of each medium of a device whether its erasure is proven, under evidence rules version 1. Pure: facts in, verdicts out.

1. Evidence binds to a medium by its exact serial number (IMEI for telephones), never by model, size, order or likeness.
2. The last run that touches a medium decides; one that did not end is a failure. Within a file both the last by place and the last by
   date must be good; between files the date counts.
3. The tool's own status must be success, with no error, and no line may contradict it (the readers see to that).
4. Bytes covered in every pass >= bytes of the medium, and no hidden area was met.
5. Verified. 6. The class reached is what the method gives on that kind of medium, whatever anyone claims, and at least the one asked for.
7. It ended after it began, not before the device was on its way to the refurbisher, and before the change of owner.
8. A run serves one device only. 9. A device is proven when each medium is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.events.base import Medium, MethodClass
from shared.events.refurb import ErasureRun, EvidenceFiled

STRENGTH: dict[MethodClass | None, int] = {None: 0, "Clear": 1, "Purge": 2, "Destroy": 3}
LATE = datetime.max.replace(tzinfo=UTC)
CLOCKS_DIFFER = timedelta(days=1)
"""How far from ours the clock of a bench may be, either way: a wrong time zone, no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A version of the evidence policy (`data/erasure.yaml`)."""

    id: str
    version: int
    effective_from: date
    levels: Mapping[str, MethodClass]
    """How confidential the data were -> the class to reach at least."""
    reach: Mapping[str, Mapping[str, Mapping[str, MethodClass]]]
    """Tool, technique (or `any`), kind of medium -> the most that it reaches."""


def policy(data: Mapping[str, Any], version: str) -> Policy:
    """A version of the file. Raises ValueError for one that it does not hold."""
    for held in data["versions"]:
        if held["id"] == version:
            return Policy(**{name: held[name] for name in ("id", "version", "effective_from", "levels", "reach")})
    raise ValueError(f"no evidence policy {version!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Evidence that already served another device."""

    sha256: str
    serial: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is proven about one medium. `reason` is `ok` or the code of what is wrong."""

    medium: Medium
    accepted: bool = False
    reason: str
    method_class: MethodClass | None = None
    verified: bool = False
    run: ErasureRun | None = None
    evidence_sha256: str | None = None
    policy: str = ""

    @property
    def technique(self) -> str:
        """What was done, in the tool's words."""
        return self.run.technique if self.run else ""

    @property
    def rests_on(self) -> tuple[tuple[int, str], ...]:
        """Lines of the evidence that the verdict rests on, as the tool wrote them."""
        return ((self.run.line, self.run.said or ""),) if self.run and self.run.line else ()


def judge(
    media: Sequence[Medium],
    evidence: Sequence[EvidenceFiled],
    required: MethodClass,
    policy: Policy,
    *,
    not_before: datetime | None = None,
    transfer_at: datetime | None = None,
    used: Collection[Used] = (),
    left: Collection[str] = (),
) -> tuple[Verdict, ...]:
    """One verdict for each medium, in the order of `media`. Two media with one serial number prove nothing for each other.

    `not_before`: an erasure that ended earlier is of another life of the medium, which was written to since.
    `left`: serials of media that were proven and have left the device since; evidence about them is about nobody else.
    """
    serials = [serial_of(m) for m in media]
    verdicts = []
    for medium, serial in zip(media, serials, strict=True):
        if serial and serials.count(serial) > 1:
            verdicts.append(Verdict(medium=medium, reason="contradictory", policy=policy.id))
            continue
        chosen = deciding(serial, evidence) if serial else None
        if chosen is None:
            reason = unbound(serial, {*left, *(s for s in serials if s)}, evidence)
            verdicts.append(Verdict(medium=medium, reason=reason, policy=policy.id))
            continue
        filed, run, doubt = chosen
        broken = ruled(medium, run, required, policy) or untimely(run, not_before, transfer_at)
        reason = doubt or broken or twice(filed.evidence_sha256, run, used) or "ok"
        good = run.outcome in {"ok", "capacity_short"} and not doubt
        verdicts.append(
            Verdict(
                medium=medium,
                accepted=reason == "ok",
                reason=reason,
                method_class=reached(medium, run, policy) if good else None,
                verified=good and run.verified,
                run=run,
                evidence_sha256=filed.evidence_sha256,
                policy=policy.id,
            )
        )
    return tuple(verdicts)


def serial_of(medium: Medium) -> str | None:
    return (medium.serial or "").strip() or None


def deciding(serial: str, evidence: Sequence[EvidenceFiled]) -> tuple[EvidenceFiled, ErasureRun, str | None] | None:
    """The run that decides about a medium, with a reason to doubt it if there is one."""
    found: list[tuple[datetime, bool, EvidenceFiled, ErasureRun, str | None]] = []
    for filed in evidence:
        touching = [(n, run) for n, run in enumerate(filed.runs) if run.serial == serial or serial in run.doubtful_serials]
        if not touching:
            continue
        place, last = touching[-1]
        latest = max((run for _, run in touching), key=began)
        run = last if last.outcome != "ok" else latest
        nameless = [r for r in filed.runs[place + 1 :] if r.serial is None and not r.doubtful_serials and r.outcome != "ok"]
        doubt = "contradictory" if run.outcome == "ok" and (nameless or run.serial != serial) else None
        found.append((began(run), run.outcome != "ok" or doubt is not None, filed, run, doubt))
    if not found:
        return None
    _, _, filed, run, doubt = max(found, key=lambda f: f[:2])
    return filed, run, doubt


def began(run: ErasureRun) -> datetime:
    """A run without a date may be the last one."""
    return run.started_at or LATE


def unbound(serial: str | None, known: Collection[str], evidence: Sequence[EvidenceFiled]) -> str:
    """Why no evidence binds to a medium."""
    runs = [run for filed in evidence for run in filed.runs]
    unusable = [filed.unusable for filed in evidence if filed.unusable]
    if not evidence:
        return "no_evidence"
    if serial is None:
        return "serial_missing"
    if any({run.serial, *run.doubtful_serials} - {None} - set(known) for run in runs):
        return "serial_mismatch"
    if any(run.serial is None and not run.doubtful_serials for run in runs):
        return "serial_missing"
    return unusable[-1] if unusable else "no_evidence"


def ruled(medium: Medium, run: ErasureRun, required: MethodClass, policy: Policy) -> str | None:
    """The first rule that the deciding run breaks, whenever it was."""
    if run.outcome != "ok":
        return run.outcome
    if not run.verified:
        return "verification_missing"
    if run.hidden_area or (run.covered_bytes is not None and not 0 < (medium.bytes or 0) <= run.covered_bytes):
        return "capacity_short"
    strength = STRENGTH[reached(medium, run, policy)]
    if not strength or strength < STRENGTH[required]:
        return "class_insufficient"
    return None


def untimely(run: ErasureRun, not_before: datetime | None, transfer_at: datetime | None) -> str | None:
    """The first rule about time that a run breaks."""
    if run.started_at is None or run.ended_at is None or run.ended_at < run.started_at:
        return "time_inverted"
    if not_before is not None and run.ended_at < not_before - CLOCKS_DIFFER:
        return "before_receipt"
    if transfer_at is not None and run.ended_at >= transfer_at:
        return "after_transfer"
    return None


def reached(medium: Medium, run: ErasureRun, policy: Policy) -> MethodClass | None:
    """The class that the method reaches on this kind of medium: what the report shows, and no more than the policy grants."""
    techniques = policy.reach.get(run.tool, {})
    most = techniques.get(run.technique, techniques.get("any", {})).get(medium.kind)
    return min(most, run.method_class, key=STRENGTH.__getitem__)


def twice(sha256: str, run: ErasureRun, used: Collection[Used]) -> str | None:
    """Whether the same file, or the same run in another file, already served another device."""
    for other in used:
        if other.sha256 == sha256 or (
            other.ended_at is not None and (other.serial, other.ended_at) == (run.serial, run.ended_at)
        ):
            return "duplicate_evidence"
    return None
