"""The door-keeper: names and origins, headers, the visitor's cookie; then every kind of route of the running studio."""

import asyncio
import http.client
import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.guard import COOKIE, TOKEN, Guard, Hosts, new_token, visitor_of


@pytest.mark.parametrize("bound, names, good, bad", [
    ("127.0.0.1", (), ["localhost", "127.0.0.1", "::1"], ["evil.example", "127.0.0.2", "10.0.0.5", "localhost.evil.example", ""]),
    ("10.0.0.5", (), ["10.0.0.5", "localhost"], ["10.0.0.6"]),
    ("0.0.0.0", (), ["10.0.0.5", "fe80::1", "localhost"], ["evil.example", "booth.local"]),
    ("0.0.0.0", ("Booth.local", " "), ["booth.local"], ["evil.local", ""]),
])
def test_names(bound, names, good, bad):
    hosts = Hosts(bound, names)
    assert all(map(hosts.allows, good)) and not any(map(hosts.allows, bad))


@pytest.mark.parametrize("origin, scheme, host, allowed", [
    ("http://127.0.0.1:8501", "http", "127.0.0.1", True),
    ("http://localhost:8501", "http", "127.0.0.1", True),
    ("http://localhost:8501", "ws", "localhost", True),
    ("https://localhost:8501", "http", "localhost", False),
    ("http://localhost:8502", "http", "localhost", False),
    ("http://localhost", "http", "localhost", False),
    ("http://evil.example:8501", "http", "localhost", False),
    ("http://10.0.0.9:8501", "http", "10.0.0.5", False),
    ("http://10.0.0.5:8501", "http", "10.0.0.5", True),
    ("null", "http", "localhost", False),
    ("http://localhost:8501/path", "http", "localhost", False),
    ("http://user@localhost:8501", "http", "localhost", False),
    ("http://localhost:99999", "http", "localhost", False),
])
def test_origins(origin, scheme, host, allowed):
    assert Hosts("0.0.0.0").allows_origin(origin, scheme, host, 8501) is allowed


def passed(headers, kind="http", method="GET", status=200):
    """What the client of a guarded app is sent, and whether the app was reached."""
    sent, reached = [], []

    async def app(scope, receive, send):
        reached.append(scope)
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-frame-options", b"DENY")]})

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": f"{kind}.connect"}

    scope = {"type": kind, "scheme": "http" if kind == "http" else "ws", "method": method, "path": "/", "headers": headers}
    asyncio.run(Guard(app, Hosts())(scope, receive, send))
    return sent, bool(reached)


def test_a_refusal_is_a_sentence_with_headers():
    sent, reached = passed([(b"host", b"evil.example:8501")])
    assert not reached and sent[0]["status"] == 403 and b"does not answer to the name 'evil.example:8501'" in sent[1]["body"]
    assert (b"x-content-type-options", b"nosniff") in sent[0]["headers"]


@pytest.mark.parametrize("headers", [
    [], [(b"host", b"")], [(b"host", b"localhost"), (b"host", b"evil.example")], [(b"host", b"localhost:abc")], [(b"host", b"localhost@evil.example")],
    [(b"host", b"localhost/")], [(b"host", b"localhost"), (b"origin", b"http://evil.example")],
    [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"origin", b"http://evil.example")],
])
def test_what_is_refused(headers):
    assert not passed(headers)[1]


def test_a_websocket_is_closed_before_it_opens():
    sent, reached = passed([(b"host", b"evil.example")], "websocket")
    assert not reached and [m["type"] for m in sent] == ["websocket.close"]


def test_headers_are_added_and_never_doubled():
    sent, _ = passed([(b"host", b"localhost")])
    names = [key for key, _ in sent[0]["headers"]]
    assert names.count(b"x-frame-options") == 1 and (b"x-frame-options", b"DENY") in sent[0]["headers"]
    assert {b"x-content-type-options", b"referrer-policy", b"content-security-policy"} <= set(names)


def cookie_of(sent):
    return next((value.decode() for key, value in sent[0]["headers"] if key == b"set-cookie"), None)


def test_the_cookie_comes_with_a_page_once():
    page = [(b"host", b"localhost"), (b"accept", b"text/html,*/*")]
    cookie = cookie_of(passed(page)[0])
    token = visitor_of(cookie)
    assert TOKEN.fullmatch(token) and cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert cookie_of(passed(page, status=304)[0]) and visitor_of(cookie_of(passed(page)[0])) != token
    assert cookie_of(passed([*page, (b"cookie", f"a=b; {COOKIE}={token}".encode())])[0]) is None
    assert cookie_of(passed([*page, (b"cookie", f"{COOKIE}=short".encode())])[0])
    assert cookie_of(passed([(b"host", b"localhost"), (b"accept", b"*/*")])[0]) is None
    assert cookie_of(passed(page, method="POST")[0]) is None and cookie_of(passed(page, status=404)[0]) is None


@pytest.mark.parametrize("cookies, found", [("", False), (f"{COOKIE}=../../etc/passwd", False), ("\x00;;=", False), pytest.param(f"x=1; {COOKIE}={new_token()}", True, id="a good one")])
def test_cookies_are_read_defensively(cookies, found):
    assert bool(visitor_of(cookies)) is found


# ---- the running studio

ROUTES = [
    ("GET", "/"), ("GET", "/table"), ("GET", "/api/health"), ("GET", "/_stcore/health"), ("GET", "/_stcore/host-config"), ("GET", "/media/nothing.png"),
    ("GET", "/app/static/nothing.css"), ("PUT", "/_stcore/upload_file/x/y"), ("DELETE", "/_stcore/upload_file/x/y"), ("GET", "/widgets/table/"),
    ("GET", "/widgets/table-editor/"), ("GET", "/widgets/table/gradio_api/info"), ("POST", "/widgets/table/gradio_api/call/recognise"),
    ("POST", "/widgets/table/gradio_api/upload"), ("GET", "/widgets/table/gradio_api/queue/data?session_hash=x"), ("POST", "/widgets/table-editor/gradio_api/queue/join"),
    ("OPTIONS", "/widgets/table/gradio_api/upload"), ("POST", "/_stcore/agent/interact"), ("GET", "/nothing/here"),
]


def ask(studio, method, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{studio.port}", "Content-Length": "0", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer, (b"" if answer.headers["content-type"] == "text/event-stream" else answer.read())


@pytest.mark.parametrize("method, path", ROUTES)
def test_no_route_answers_a_foreign_name_or_page(studio, method, path):
    for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{studio.port}"}, {"Origin": "http://evil.example"}, {"Origin": "null"},
                    {"Origin": f"https://127.0.0.1:{studio.port}"}, {"Origin": "http://127.0.0.1:1"}):
        answer, body = ask(studio, method, path, **headers)
        assert answer.status == 403 and body.startswith((b"This studio does not answer", b"Pages of"))
        assert answer.headers["access-control-allow-origin"] is None


@pytest.mark.parametrize("path", ["/", "/api/health", "/widgets/table/", "/widgets/table-editor/", "/widgets/table/gradio_api/info", "/_stcore/health"])
def test_every_answer_carries_the_headers(studio, path):
    answer, _ = ask(studio, "GET", path, Origin=f"http://127.0.0.1:{studio.port}")
    assert answer.status == 200
    wanted = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin", "x-frame-options": "SAMEORIGIN", "content-security-policy": "frame-ancestors 'self'"}
    assert {name: answer.headers[name] for name in wanted} == wanted


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_a_foreign_websocket_is_refused(studio, headers):
    origin = headers.get("Origin")
    extra = {name: value for name, value in headers.items() if name == "Host"}
    if extra:
        answer, _ = ask(studio, "GET", "/_stcore/stream", Host="evil.example", Upgrade="websocket", Connection="Upgrade",
                        **{"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"})
        assert answer.status == 403
        return
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{studio.port}/_stcore/stream", origin=origin, subprotocols=["streamlit"])
    assert refused.value.response.status_code == 403


def test_our_own_websocket_opens_by_either_name(studio):
    for name in ("127.0.0.1", "localhost"):
        with connect(f"ws://127.0.0.1:{studio.port}/_stcore/stream", origin=f"http://{name}:{studio.port}", subprotocols=["streamlit"]) as socket:
            assert socket.subprotocol == "streamlit"


def test_a_foreign_page_cannot_run_a_job(studio):
    before = studio.health()["queue"]
    body = json.dumps({"data": [[], {}]}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=30)
    connection.request("POST", "/widgets/table/gradio_api/call/recognise", body, {"Origin": "http://evil.example", "Content-Type": "application/json"})
    assert connection.getresponse().status == 403 and studio.health()["queue"] == before
