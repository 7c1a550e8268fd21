"""The door-keeper of every route: which Host and Origin may speak to the studio, the headers every answer carries, and the visitor's cookie."""

import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

COOKIE = "vitrine_visitor"
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,64}")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::"})
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"), (b"x-frame-options", b"SAMEORIGIN"),
           (b"content-security-policy", b"frame-ancestors 'self'"))


def new_token() -> str:
    """An unguessable visitor token (192 bits)."""
    return secrets.token_urlsafe(24)


def visitor_of(cookies: str) -> str | None:
    """The visitor token in a Cookie header, None when there is none or it is malformed."""
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel and TOKEN.fullmatch(morsel.value) else None


class Hosts:
    """The names this studio answers to.

    bound  the address the port is bound to; bound to every interface, any literal IP address is good too: a rebound name is not one
    names  further names, from --allow-host or VITRINE_HOSTS
    """

    def __init__(self, bound: str = "127.0.0.1", names: Iterable[str] = ()) -> None:
        bound = bound.strip("[]").lower()
        self._any_address = bound in WILDCARDS
        own = {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"} if self._any_address else {bound}
        self._names = LOOPBACK | own | {name.strip().strip("[]").lower() for name in names if name.strip()}

    def allows(self, name: str) -> bool:
        """True for a host name or address (no port, no brackets) this studio answers to."""
        return name in self._names or self._any_address and _is_address(name)

    def allows_origin(self, origin: str, scheme: str, host: str, port: int) -> bool:
        """True when a page of this origin may call us at scheme://host:port: the same host, or two of the studio's own names, at the same scheme and port."""
        theirs = _split(origin)
        if theirs is None or theirs[0] != {"ws": "http", "wss": "https"}.get(scheme, scheme) or theirs[2] != port:
            return False
        return theirs[1] == host or theirs[1] in self._names and host in self._names


class Guard:
    """ASGI middleware for http and websocket: refuses foreign Host and Origin, adds headers, hands out the visitor's cookie."""

    def __init__(self, app, hosts: Hosts) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self.refusal(scope)
        if refusal:
            await _refuse(scope, receive, send, refusal)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _dressed(send, _fresh_cookie(scope)))

    def refusal(self, scope) -> str | None:
        """Why this request is refused, as a sentence; None when it may pass."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        here = _split(f"{scope['scheme']}://{hosts[0]}") if len(hosts) == 1 else None
        if here is None or not self.hosts.allows(here[1]):
            return f"This studio does not answer to the name {', '.join(hosts)[:80]!r}. Open it by its own address, or start it with --allow-host NAME."
        if any(not self.hosts.allows_origin(origin, *here) for origin in origins):
            return f"Pages of {origins[0][:80]!r} may not call this studio. Open the studio itself in the browser."
        return None


def _values(scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _split(url: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of an origin, None when it is not one."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None
    bare = not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    return (parts.scheme, parts.hostname, port) if bare and parts.hostname and port else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(scope, receive, send, sentence: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        return
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]})
    await send({"type": "http.response.body", "body": sentence.encode()})


def _fresh_cookie(scope) -> bytes | None:
    """The Set-Cookie of a visitor's first page; None for everything that is not a page and for visitors who have one."""
    wants_page = scope["method"] == "GET" and any("text/html" in accept for accept in _values(scope, b"accept"))
    if not wants_page or visitor_of("; ".join(_values(scope, b"cookie"))):
        return None
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{COOKIE}={new_token()}; Path=/; HttpOnly; SameSite=Strict{secure}".encode()


def _dressed(send, cookie: bytes | None):
    async def dressed(message) -> None:
        if message["type"] == "http.response.start":
            had = list(message.get("headers", ()))
            names = {key.lower() for key, _ in had}
            extra = [(key, value) for key, value in HEADERS if key not in names]
            if cookie and message["status"] < 400:
                extra.append((b"set-cookie", cookie))
            message = {**message, "headers": had + extra}
        await send(message)

    return dressed
