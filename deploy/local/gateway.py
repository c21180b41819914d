"""One origin for everything: each service under its path, and a plain page for the moment when one of them is down.

Caddy, told by a JSON file: no admin port, no certificates, nothing outside its folder. Paths arrive whole at the services. A service is
asked for `/health` each second; while it does not answer, only its own pages are away.
"""

import json
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from deploy.local.jars import ROOT
from deploy.local.processes import Program

PAGE = Path(__file__).parent / "unavailable.html"
LOOK = ROOT / "shared" / "ui" / "static"
LARGEST_BODY_BYTES = 20 * 1024 * 1024
NAMES = {
    "intake": "La partie des dons",
    "routing": "La partie des collectes",
    "refurb": "La partie des ateliers",
    "certs": "La partie des certificats",
    "distribution": "La partie de la distribution",
}
UNLESS_STRICTER = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}
"""For answers that do not say so themselves: a service knows better what its page may do."""
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    # also where a page asks for none: its address leaves the site in neither case, but without a referrer a browser of before 2023
    # sends its forms with `Origin: null`, which we must refuse
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}


LOG = {
    "format": "filter",
    "wrap": {"format": "json"},
    "fields": {f"request>{name}": {"filter": "delete"} for name in ("uri", "headers", "remote_ip", "client_ip", "remote_port")},
}
"""Addresses of pages are secrets here, and those of people are theirs: neither is written down."""


def binary() -> Path:
    return Path(sysconfig.get_path("scripts")) / "caddy"


def write_site(folder: Path) -> Path:
    """The few static files of the gateway's own pages; answers the folder Caddy serves."""
    site = folder / "site"
    own = site / "gateway"
    shutil.rmtree(site, ignore_errors=True)
    own.mkdir(parents=True)
    for name in ("ui.css", "favicon.svg", "fonts"):
        source = LOOK / name
        if source.is_dir():
            shutil.copytree(source, own / name)
        elif source.exists():
            shutil.copy(source, own / name)
    page = Template(PAGE.read_text(encoding="utf-8"))
    for service, name in NAMES.items():
        text = page.substitute(
            title=f"{name} ne répond pas en ce moment",
            what="Le reste du site fonctionne. Ce que vous veniez d’envoyer n’a peut-être pas été enregistré.",
            todo="Attendez une minute, puis rechargez cette page. Si vous veniez d’envoyer un formulaire, vous pouvez l’envoyer de nouveau "
            "sans risque de doublon.",
        )
        (own / f"{service}.html").write_text(text, encoding="utf-8")
    text = page.substitute(
        title="Ce fichier est trop gros",
        what="Rien n’a été enregistré : nous acceptons 20&nbsp;Mo au plus par envoi.",
        todo="Revenez en arrière et envoyez un fichier plus petit, ou plusieurs fichiers l’un après l’autre.",
    )
    (own / "too-large.html").write_text(text, encoding="utf-8")
    text = page.substitute(
        title="Cette page n’existe pas",
        what="L’adresse est incomplète, ou la page a changé de place.",
        todo="Vérifiez l’adresse, ou partez de l’accueil.",
    )
    (own / "not-found.html").write_text(text, encoding="utf-8")
    return site


def _page(name: str, status: int, site: Path) -> list[dict[str, Any]]:
    return [
        {"handler": "rewrite", "method": "GET", "uri": f"/gateway/{name}.html"},
        {"handler": "file_server", "root": str(site), "status_code": str(status)},
    ]


def _problem(status: int, code: str, title: str) -> dict[str, Any]:
    body = json.dumps({"type": "about:blank", "status": status, "code": code, "title": title}, ensure_ascii=False)
    headers = {"Content-Type": ["application/problem+json"]}
    return {"handler": "static_response", "status_code": str(status), "headers": headers, "body": body}


def _errors(service: str, site: Path) -> list[dict[str, Any]]:
    """What stands in for a service that is down: a page for people, problem+json for programs."""
    down = {"expression": "{http.error.status_code} in [502, 503, 504]"}
    too_large = {"expression": "{http.error.status_code} == 413"}
    for_programs = {"header": {"Accept": ["*json*"]}}
    later = {"handler": "headers", "response": {"set": {"Retry-After": ["5"], "Cache-Control": ["no-store"]}}}
    away = _problem(503, "service_unavailable", f"{service} does not answer at the moment; the same request may be sent again")
    return [
        {"match": [{**down, **for_programs}], "handle": [later, away], "terminal": True},
        {"match": [down], "handle": [later, *_page(service, 503, site)], "terminal": True},
        {
            "match": [{**too_large, **for_programs}],
            "handle": [_problem(413, "body_too_large", "at most 20 MiB at once")],
            "terminal": True,
        },
        {"match": [too_large], "handle": _page("too-large", 413, site), "terminal": True},
    ]


def _service_route(service: str, port: int, site: Path) -> dict[str, Any]:
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{port}"}],
        "flush_interval": -1,
        "transport": {"protocol": "http", "dial_timeout": "1s"},
        "headers": {"request": {"set": {"X-Forwarded-Prefix": [f"/{service}"]}}},
        "health_checks": {  # active only: a request that one client broke off would take the service away from all
            "active": {"uri": "/health", "interval": "1s", "timeout": "1s", "fails": 1, "passes": 1},
        },
    }
    limit = {"handler": "request_body", "max_size": LARGEST_BODY_BYTES}
    inner = {"handler": "subroute", "routes": [{"handle": [limit, proxy]}], "errors": {"routes": _errors(service, site)}}
    return {"match": [{"path": [f"/{service}", f"/{service}/*"]}], "handle": [inner], "terminal": True}


def config(*, port: int, services: Mapping[str, int], folder: Path, site: Path) -> dict[str, Any]:
    """Caddy's JSON: `services` says at which port each listens."""
    hygiene = {
        "handler": "headers",
        "response": {"deferred": True, "set": {name: [value] for name, value in SECURITY.items()}, "delete": ["Server", "Via"]},
    }
    defaults = [
        {"handler": "headers", "response": {"deferred": True, "require": {"headers": {name: None}}, "set": {name: [value]}}}
        for name, value in UNLESS_STRICTER.items()
    ]
    home = {"handler": "static_response", "status_code": "302", "headers": {"Location": ["/intake/"]}}
    routes: list[dict[str, Any]] = [
        {"handle": [hygiene, *defaults]},
        {"match": [{"path": ["/"]}], "handle": [home], "terminal": True},
        {"match": [{"path": ["/gateway/*"]}], "handle": [{"handler": "file_server", "root": str(site)}], "terminal": True},
        *(_service_route(service, at, site) for service, at in services.items()),
        {"handle": _page("not-found", 404, site)},
    ]
    server = {
        "listen": [f"127.0.0.1:{port}"],
        "automatic_https": {"disable": True},
        "read_header_timeout": "10s",
        "idle_timeout": "2m",
        "routes": routes,
        "errors": {"routes": [{"handle": [hygiene, *defaults, *_page("not-found", 404, site)]}]},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(folder / "storage")},
        "logging": {"logs": {"default": {"level": "WARN", "encoder": LOG}}},
        "apps": {"http": {"servers": {"site": server}}},
    }


def program(*, port: int, services: Mapping[str, int], folder: Path, log: Path) -> Program:
    """The gateway, to be kept running. Its file is written anew at each start, since ports may have changed."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "caddy.json"
    text = config(port=port, services=services, folder=folder, site=write_site(folder))
    file.write_text(json.dumps(text, indent=1, ensure_ascii=False), encoding="utf-8")
    homes = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    argv = (str(binary()), "run", "--config", str(file))
    return Program(name="gateway", argv=argv, env=homes, cwd=folder, log=log, wave=2)
