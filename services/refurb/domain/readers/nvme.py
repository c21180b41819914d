"""Reads what `nvme sanitize-log -o json` printed, in the envelope that names the controller (`id_ctrl`) and the times.

Checked against `json_sanitize_log` and `nvme_sstat_status_to_string` of nvme-cli (2.x and later: `media_verification_canceled`,
`sanitize_state_information` and `purged` came one after the other) and the sanitize status log of the NVM Express base specification.
The envelope (`collector`, `started_at`, `ended_at`, `id_ctrl`, `sanitize_log`) is this project's own. A bare log names no controller:
it is read, and binds to nothing. A name or a value that nvme-cli does not print makes the log `contradictory`.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from services.refurb.domain.readers.facts import Facts, Unusable, count, identifier, moment, part, words
from shared.events.refurb import ErasureRun

STATUS = {
    "(0) NVM Subsystem has never been sanitized.": "not_an_erasure",
    "(1) Most Recent Sanitize Command Completed Successfully.": "ok",
    "(2) Sanitize in Progress.": "in_progress",
    "(3) Most Recent Sanitize Command Failed.": "failed",
    "(4) Most Recent Sanitize Command (No-Deallocate After Sanitize) Completed Successfully.": "ok",
}
ACTIONS = {2: "sanitize block erase", 3: "sanitize overwrite", 4: "sanitize crypto erase"}
SANICAP = {2: 0b010, 3: 0b100, 4: 0b001}
"""The bit of `sanicap` by which a controller says that it can do the action."""
MOST_DEVICES = 64
AT_REST = 65535
"""`sprog` when no sanitize operation is under way."""
LOG = {"sprog", "sstat", "cdw10_info", "sanitize_state_information", "time_post_verification_dealloc"} | {
    f"time_{what}{how}" for what in ("over_write", "block_erase", "crypto_erase") for how in ("", "_no_dealloc")
}
SSTAT = {"media_verification_canceled", "global_erased", "no_cmplted_passes", "status", "purged"}
BITS = ("media_verification_canceled", "global_erased", "purged")


def looks_like(content: Any) -> bool:
    """Tell whether this may be such a log, in its envelope or bare."""
    return isinstance(content, Mapping) and ("sanitize_log" in content or bool(logs(content)))


def logs(content: Any) -> dict[str, Mapping[str, Any]]:
    """Device -> its log. nvme-cli names the device; without that name it is empty text."""
    if not isinstance(content, Mapping):
        return {}
    if "sstat" in content:
        return {"": content}
    return {name: log for name, log in content.items() if isinstance(log, Mapping) and "sstat" in log}


def facts(content: Mapping[str, Any]) -> Facts:
    """The facts of a log."""
    return Facts(tool="nvme-cli", runs=tuple(read(content)))


def read(content: Mapping[str, Any]) -> Iterator[ErasureRun]:
    """One run for each device that the log names."""
    wrapped = "sanitize_log" in content
    controller = content.get("id_ctrl") if wrapped else None
    found = logs(content["sanitize_log"] if wrapped else content)
    capacity = count(part(controller, "tnvmcap")) or None
    started, ended = (moment(content.get(name)) if wrapped else None for name in ("started_at", "ended_at"))
    if len(found) > MOST_DEVICES:
        raise Unusable("too_large")
    for device, log in found.items():
        outcome = outcome_of(log, controller)
        alone = len(found) == 1 and same(device, content.get("device")) and tells_all(controller)
        if outcome == "ok" and wrapped and not alone:
            outcome = "contradictory"
        action = (count(log.get("cdw10_info")) or 0) & 0b111
        sstat = part(log, "sstat")
        yield ErasureRun(
            serial=identifier(part(controller, "sn")),
            model=words(part(controller, "mn")),
            outcome=outcome,
            covered_bytes=capacity,
            verified=part(sstat, "global_erased") == 1 and not part(sstat, "media_verification_canceled"),
            method_class="Purge" if part(sstat, "purged") == 1 else "Clear",
            technique=ACTIONS.get(action, ""),
            tool="nvme-cli",
            started_at=started.astimezone(UTC) if started else None,
            ended_at=ended.astimezone(UTC) if ended else None,
        )


def same(logged: str, named: Any) -> bool:
    """Whether the log is of the device of the envelope, or of a namespace of it."""
    name = named.removeprefix("/dev/") if isinstance(named, str) else ""
    return bool(name) and re.fullmatch(re.escape(name) + r"(n\d+)?", logged.removeprefix("/dev/") or name) is not None


def tells_all(controller: Any) -> bool:
    """Whether the controller says all that it always does. A capacity of 0 stands for one that it does not tell."""
    texts, figures = (part(controller, "sn"), part(controller, "mn")), (part(controller, "sanicap"), part(controller, "tnvmcap"))
    return all(isinstance(text, str) for text in texts) and all(count(figure) is not None for figure in figures)


def outcome_of(log: Mapping[str, Any], controller: Any) -> str:
    """`ok` when every field is there, is one that the tool prints, and none contradicts another."""
    sstat = log["sstat"]
    status = part(sstat, "status")
    outcome = STATUS.get(status) if isinstance(status, str) else None
    if outcome != "ok" and outcome is not None:
        return outcome
    bits = [sstat[name] for name in BITS if name in sstat] if isinstance(sstat, Mapping) else []
    state = log.get("sanitize_state_information")
    complete = (
        outcome == "ok"
        and {"global_erased", "no_cmplted_passes"} <= set(sstat) <= SSTAT
        and {"sprog", "cdw10_info"} <= set(log) <= LOG
        and all(count(bit) in {0, 1} for bit in bits)
        and all(count(log[name]) is not None for name in log if name.startswith("time_"))
        and (state is None or state == {"sanitize_state": "(0) Idle"})
    )
    if not complete or log["sprog"] != AT_REST:
        return "contradictory"
    word, passes = count(log["cdw10_info"]), count(sstat["no_cmplted_passes"])
    if word is None or passes is None or word & 0b111 not in ACTIONS:
        return "contradictory"
    action = word & 0b111
    able = part(controller, "sanicap")
    if able is not None and (count(able) is None or not able & SANICAP[action]):
        return "contradictory"
    overwritten = action == 3
    if (passes > 0) != overwritten or ("sanitize_state_information" in log and "media_verification_canceled" not in sstat):
        return "contradictory"
    return "ok"
