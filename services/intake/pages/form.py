"""The six questions, one a page. What is typed is kept as it was typed, on our side, under a secret address; nothing needs a script.

The first answer makes the draft, so that a robot that looks leaves nothing behind. Sending is a PUT under the draft's own id:
twice is once.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup, escape

from services.intake import store
from services.intake.domain.answers import DEVICE_FIELDS, Known, Problem, Raw, check, check_question
from services.intake.domain.offer import make
from services.intake.domain.questions import Asked, Question
from services.intake.pages import AtHome, House, day, posted
from shared.db import Tx
from shared.desk import Desk
from shared.errors import NotYet
from shared.http import At
from shared.ui import device, fr, plural, same_origin
from shared.ui.access import HOURS
from shared.ui.formats import digits_fr, time_fr

router = APIRouter(prefix="/intake", include_in_schema=False)
FORM = [Depends(same_origin)]
INPUT_MODES = {"count": "numeric", "postal_code": "numeric", "company_number": "numeric", "phone": "tel", "mail": "email"}


@router.get("/")
async def home(request: Request, home: AtHome) -> Response:
    """What this is, in plain words, and one thing to do."""
    return home.pages.render(request, "home.html", questions=home.terms.questions.questions)


@router.get("/confidentialite")
async def privacy(request: Request, home: AtHome) -> Response:
    """Which personal data this software keeps, why, for how long, and who to write to."""
    return home.pages.render(request, "privacy.html", draft_days=home.draft_days, hours=HOURS)


@router.get("/don")
async def begin(request: Request, home: AtHome) -> Response:
    """The first question, before there is a draft."""
    return _ask(request, home, home.terms.questions.questions[0], {}, {}, secret="")


@router.post("/don", dependencies=FORM)
async def begin_answered(request: Request, home: AtHome, desk: At) -> Response:
    """The first answer: right, it begins a draft; wrong, it comes back as it was typed."""
    question = home.terms.questions.questions[0]
    typed = _typed(question, await posted(request))
    if problems := _wrong(home, desk, question, typed):
        return _ask(request, home, question, typed, problems, secret="", status=422)
    secret = secrets.token_urlsafe(24)
    await _keep(home, desk, secret, {question.key: typed})
    return _go(secret, home.terms.questions.questions[1].key)


@router.get("/don/{secret}")
async def resume(secret: str, home: AtHome, desk: At) -> Response:
    """Back to where the donor was."""
    draft = await _draft(desk, secret)
    return _go(secret, "merci" if draft.donation_id else _next(home, desk, draft.typed))


@router.get("/don/{secret}/plus-tard")
async def later(request: Request, secret: str, home: AtHome, desk: At) -> Response:
    """How to come back."""
    draft = await _draft(desk, secret)
    if draft.donation_id:
        return _go(secret, "merci")
    address = f"{desk.settings.public_url.rstrip('/')}/intake/don/{secret}"
    return home.pages.render(request, "later.html", private=True, secret=secret, address=address, until=draft.expires_at)


@router.get("/don/{secret}/verifier")
async def review(request: Request, secret: str, home: AtHome, desk: At) -> Response:
    """All answers, each with a way to change it."""
    draft = await _draft(desk, secret)
    if draft.donation_id:
        return _go(secret, "merci")
    if (key := _next(home, desk, draft.typed)) != "verifier":
        return _go(secret, key)
    return _review(request, home, desk, draft, secret, {})


@router.post("/don/{secret}/envoyer", dependencies=FORM)
async def send(request: Request, secret: str, home: AtHome, desk: At) -> Response:
    """Make the donation: once, however often this is posted."""
    form = await posted(request)
    draft = await _draft(desk, secret)
    if draft.donation_id:
        return _go(secret, "merci")
    raw = _flat(draft.typed) | {"owner": "yes" if form.get("owner") else ""}
    now = desk.now()
    # the donation's id must not give the draft's address away
    offer = make(home.terms, raw, client="form", client_id=_public(secret), source="form", now=now, today=day(now))
    if isinstance(offer, list):
        if [problem.field for problem in offer] == ["owner"]:
            return _review(request, home, desk, draft, secret, _words(home, offer), status=422)
        return _go(secret, _next(home, desk, draft.typed))

    async def keep(tx: Tx) -> None:
        await store.keep_private(tx, desk.vault, home.terms.key, offer)
        await store.draft_became(tx, secret, offer.command.id)

    await desk.carry_out([offer.command], keep)
    return _go(secret, "merci")


@router.get("/don/{secret}/merci")
async def thanks(request: Request, secret: str, home: AtHome, desk: At) -> Response:
    """The answer, its reasons, and the tracking link."""
    draft = await _draft(desk, secret)
    if draft.donation_id is None:
        return _go(secret, _next(home, desk, draft.typed))
    async with desk.read() as tx:
        heard = await store.hear(tx, draft.donation_id)
        token = await store.tracking_token(tx, home.terms.key, draft.donation_id)
    if heard is None:
        raise NotYet("donation_unknown")
    return home.pages.render(
        request,
        "thanks.html",
        private=True,
        donation=heard.donation,
        token=token,
        tracking=store.tracking_url(desk.settings.public_url, token) if token else "",
        say=home.terms.rules.say,
        answers=home.words["answers"],
    )


@router.get("/don/{secret}/{key}")
async def ask(request: Request, secret: str, key: str, home: AtHome, desk: At) -> Response:
    """One question, with what was typed before; with its errors too, when there was something."""
    if key == "envoyer":  # the address that the last page posts to, opened by hand
        return _go(secret, "verifier")
    question = _question(home, key)
    draft = await _draft(desk, secret)
    if draft.donation_id:
        return _go(secret, "merci")
    typed = draft.typed.get(key, {})
    problems = _wrong(home, desk, question, typed) if typed else {}
    return _ask(request, home, question, typed, problems, secret=secret)


@router.post("/don/{secret}/{key}", dependencies=FORM)
async def answered(request: Request, secret: str, key: str, home: AtHome, desk: At) -> Response:
    """One answer: kept as it was typed, right or wrong, also by who goes back a question."""
    question = _question(home, key)
    form = await posted(request)
    typed = _typed(question, form)
    draft = await _draft(desk, secret)
    if draft.donation_id:
        return _go(secret, "merci")
    kept = {**draft.typed, key: typed} if any(typed.values()) or "retour" not in form else draft.typed
    await _keep(home, desk, secret, kept)
    if "retour" in form:
        position = home.terms.questions.position(key) or 1
        return _go(secret, home.terms.questions.questions[position - 1].key)
    if problems := _wrong(home, desk, question, typed):
        return _ask(request, home, question, typed, problems, secret=secret, status=422)
    return _go(secret, _next(home, desk, kept))


def _go(secret: str, key: str) -> Response:
    return RedirectResponse(f"/intake/don/{secret}/{key}", 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _public(secret: str) -> str:
    return hashlib.sha256(b"draft:" + secret.encode()).hexdigest()[:40].upper()


async def _draft(desk: Desk, secret: str) -> store.Draft:
    """The draft under that address. Raises NotYet when there is none any more."""
    async with desk.read() as tx:
        draft = await store.load_draft(tx, secret)
    if draft is None:
        raise NotYet("draft_unknown")
    return draft


async def _keep(home: House, desk: Desk, secret: str, typed: store.Typed) -> None:
    async def keep(tx: Tx) -> None:
        await store.save_draft(tx, secret, typed, keep=timedelta(days=home.draft_days))

    await desk.carry_out([], keep)  # no command: for the second try when two tabs save at once


def _question(home: House, key: str) -> Question:
    position = home.terms.questions.position(key)
    if position is None:
        raise NotYet("not_found")
    return home.terms.questions.questions[position]


def _typed(question: Question, form: Mapping[str, tuple[str, ...]]) -> dict[str, Raw]:
    """What was typed in this question's fields, and nothing else."""
    return {
        asked.name: form.get(asked.name, ()) if asked.kind == "choices" else (form.get(asked.name) or ("",))[0]
        for asked in question.fields
    }


def _flat(typed: store.Typed) -> dict[str, Raw]:
    return {name: text for fields in typed.values() for name, text in fields.items()}


def _known(home: House, desk: Desk) -> Known:
    return home.terms.known(day(desk.now()))


def _wrong(home: House, desk: Desk, question: Question, typed: Mapping[str, Raw]) -> dict[str, str]:
    """What to correct in this question: field -> words."""
    return _words(home, check_question(question, typed, _known(home, desk))[1])


def _words(home: House, problems: list[Problem]) -> dict[str, str]:
    return {problem.field: home.pages.message(problem.code, **problem.detail) for problem in problems}


def _next(home: House, desk: Desk, typed: store.Typed) -> str:
    """The first question that is not answered, or `verifier` when all are."""
    return next(
        (
            question.key
            for question in home.terms.questions.questions
            if question.key not in typed or check_question(question, typed[question.key], _known(home, desk))[1]
        ),
        "verifier",
    )


def _ask(
    request: Request,
    home: House,
    question: Question,
    typed: Mapping[str, Raw],
    problems: Mapping[str, str],
    *,
    secret: str,
    status: int = 200,
) -> Response:
    """The page of one question."""
    all_questions = home.terms.questions.questions
    counts = [typed.get(name, "") for name in DEVICE_FIELDS]
    total = sum(int(c) for c in ("".join(str(c).split()) for c in counts) if c.isascii() and c.isdigit() and len(c) < 7)
    return home.pages.render(
        request,
        "question.html",
        status,
        private=bool(secret),
        question=question,
        questions=all_questions,
        position=1 + next(at for at, one in enumerate(all_questions) if one.key == question.key),
        values=typed,
        errors=problems,
        labels={asked.name: asked.label for asked in question.fields},
        device_fields=DEVICE_FIELDS,
        input_modes=INPUT_MODES,
        total="à corriger" if problems else plural(total, "appareil"),
        secret=secret,
    )


def _review(
    request: Request, home: House, desk: Desk, draft: store.Draft, secret: str, problems: Mapping[str, str], *, status: int = 200
) -> Response:
    """The page with all answers."""
    values, _ = check(home.terms.questions, _flat(draft.typed), _known(home, desk))
    rows = [
        (question.short, _summary(question, values), f"/intake/don/{secret}/{question.key}")
        for question in home.terms.questions.questions
    ]
    return home.pages.render(
        request,
        "review.html",
        status,
        private=True,
        rows=rows,
        errors=problems,
        secret=secret,
        questions=home.terms.questions.questions,
    )


def _summary(question: Question, values: Mapping[str, Any]) -> Markup:
    """The answers to one question, a line each."""
    lines = [line for asked in question.fields if (line := _line(asked, values.get(asked.name)))]
    if question.fields[0].name in DEVICE_FIELDS:
        total = sum(values.get(name) or 0 for name in DEVICE_FIELDS)
        lines.append(Markup("<b>{} en tout</b>").format(plural(total, "appareil")))
    return Markup("<br>").join(lines)


def _line(asked: Asked, value: Any) -> str:
    """One answer in words; empty when there is nothing to show."""
    if value in (None, "", 0, ()):
        return ""
    if asked.name in DEVICE_FIELDS:
        return escape(device(asked.name, value))
    if asked.kind == "choice":
        return escape(fr(asked.codes[value]))
    if asked.kind == "choices":
        return escape(fr(", ".join(asked.codes[code] for code in value)))
    if asked.kind == "date":
        return Markup("{} {}").format(fr(asked.label), time_fr(value))
    if asked.kind == "phone":
        return escape(digits_fr(value))
    if asked.kind == "text":
        return Markup("<br>").join(value.splitlines())
    if asked.kind in {"line", "mail", "postal_code"}:
        return escape(value)
    return escape(fr(f"{asked.label} : {digits_fr(value)}"))
