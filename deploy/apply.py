"""From the map to the broker: what differs, told line by line, then done. Done twice, the second time changes nothing.

Partition counts are never changed (keys would move) and topics never deleted (they are the history): both are only told.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from deploy.topology import PARTNER_PREFIX, Topology
from shared.kafka.admin import Acl, Admin, AdminError, NewTopic, WrongCredentials, check_login


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsPlan:
    """What differs between the topics that are and those that shall be."""

    create: list[NewTopic] = field(default_factory=list)
    config: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        made = [f"create topic {topic.name} ({topic.partitions} partitions)" for topic in self.create]
        changed = [
            f"change topic {name}: {key} {old} -> {new}"
            for name, changes in self.config.items()
            for key, (old, new) in changes.items()
        ]
        return made + changed

    async def carry_out(self, admin: Admin) -> None:
        await admin.create_topics(self.create)
        for name, changes in self.config.items():
            await admin.set_topic_config(name, {key: new for key, (_, new) in changes.items()})
        names = {topic.name for topic in self.create}

        async def seen() -> bool:
            return names <= (await admin.topics()).keys()

        await _settled(seen, "new topics")


async def plan_topics(admin: Admin, topology: Topology, *, local: bool) -> TopicsPlan:
    plan = TopicsPlan()
    wanted = {topic.name: topic for topic in topology.topics(local=local)}
    present = await admin.topics()
    keys = sorted({key for topic in wanted.values() for key in topic.config})
    configs = await admin.topic_configs(wanted.keys() & present.keys(), keys)
    for name, topic in wanted.items():
        if name not in present:
            plan.create.append(topic)
            continue
        if present[name] != topic.partitions:
            plan.warnings.append(f"topic {name} has {present[name]} partitions, not {topic.partitions}: left, keys would move")
        changes = {
            key: (configs[name].get(key, ""), value) for key, value in topic.config.items() if configs[name].get(key) != value
        }
        if changes:
            plan.config[name] = changes
    plan.warnings.extend(
        f"topic {name} is not in the map: left, it is history" for name in sorted(present.keys() - wanted.keys())
    )
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersPlan:
    """What differs between users, rights and quotas that are and those that shall be. Passwords are never part of the lines."""

    passwords: dict[str, str] = field(default_factory=dict, repr=False)
    fresh: set[str] = field(default_factory=set)
    remove: set[str] = field(default_factory=set)
    grant: set[Acl] = field(default_factory=set)
    revoke: set[Acl] = field(default_factory=set)
    quotas: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        return [
            *(f"{'create user' if name in self.fresh else 'change password of'} {name}" for name in sorted(self.passwords)),
            *(f"remove user {name}" for name in sorted(self.remove)),
            *(f"allow {acl}" for acl in sorted(self.grant)),
            *(f"withdraw {acl}" for acl in sorted(self.revoke)),
            *(f"set quota of {name}: {changes}" for name, changes in sorted(self.quotas.items())),
        ]

    async def carry_out(self, admin: Admin, *, bootstrap: str) -> None:
        """Done when it holds: whoever logs in before the broker knows a new user is told of a wrong password."""
        await admin.delete_acls(self.revoke)
        await admin.delete_users(self.remove)
        await admin.upsert_users(self.passwords)
        await admin.create_acls(self.grant)
        for user, changes in self.quotas.items():
            await admin.set_quotas(user, changes)

        async def known() -> bool:
            return all([await _has_password(bootstrap, name, password) for name, password in self.passwords.items()])

        async def held() -> bool:
            now = await admin.acls()
            return self.grant <= now and not self.revoke & now

        await _settled(known, "new passwords")
        await _settled(held, "new rights")


async def _settled(so: Callable[[], Awaitable[bool]], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await so():
        if time.monotonic() > deadline:
            raise AdminError(f"the broker took the {what} and does not know them {seconds:.0f} s later")
        await asyncio.sleep(0.1)


async def _has_password(bootstrap: str, user: str, password: str) -> bool:
    try:
        await check_login(bootstrap, user, password)
    except WrongCredentials:
        return False
    return True


async def plan_users(admin: Admin, topology: Topology, passwords: Mapping[str, str], *, bootstrap: str) -> UsersPlan:
    """`passwords` has one for each user of the map. Whether a user has it already is found by logging in."""
    wanted, present = topology.users(), await admin.users()
    if missing := [name for name in wanted if not passwords.get(name)]:
        raise ValueError(f"no password for: {', '.join(missing)} (MAILLON_PASSWORD_<USER>, or --secrets FILE)")
    fresh = {name for name in wanted if name not in present}
    known = [name for name in wanted if name in present]
    same = await asyncio.gather(*(_has_password(bootstrap, name, passwords[name]) for name in known))
    other = {name for name, is_same in zip(known, same, strict=True) if not is_same}
    remove = {name for name in present if name.startswith(PARTNER_PREFIX) and name not in wanted}
    ours = {acl for acl in await admin.acls() if acl.user in wanted or acl.user.startswith(PARTNER_PREFIX)}
    held = await admin.quotas()
    quotas: dict[str, dict[str, float | None]] = {}
    for name in {*topology.quotas(), *(user for user in held if user.startswith(PARTNER_PREFIX))}:
        shall, now = topology.quotas().get(name, {}), held.get(name, {})
        changes = {key: shall.get(key) for key in {*shall, *now} if shall.get(key) != now.get(key)}
        if changes:
            quotas[name] = changes
    return UsersPlan(
        passwords={name: passwords[name] for name in wanted if name in fresh | other},
        fresh=fresh,
        remove=remove,
        grant=topology.acls() - ours,
        revoke=ours - topology.acls(),
        quotas=quotas,
    )
