"""A visitor without a browser: Streamlit's websocket protocol by protobuf, for load and isolation tests and for the bench."""

import asyncio
import http.client
import statistics
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect

MOST_BYTES = 64_000_000


@dataclass
class ScriptRun:
    """What one run of a page sent: its messages, how it ended and how long it took."""

    seconds: float
    status: int
    messages: list[ForwardMsg] = field(repr=False)

    @property
    def ok(self) -> bool:
        """The script came to its end and showed no exception box."""
        return self.status == ForwardMsg.FINISHED_SUCCESSFULLY and not self.exceptions

    @property
    def exceptions(self) -> list[str]:
        """The texts of exception boxes."""
        return [e.exception.message for e in self.elements() if e.WhichOneof("type") == "exception"]

    def elements(self, kind: str | None = None) -> list:
        """The elements drawn, or those of one kind ("markdown", "file_uploader", ...)."""
        drawn = [m.delta.new_element for m in self.messages if m.WhichOneof("type") == "delta" and m.delta.WhichOneof("type") == "new_element"]
        return [e for e in drawn if kind is None or e.WhichOneof("type") == kind]

    def shows(self, text: str) -> bool:
        """True when the text is anywhere in what the page was sent."""
        return any(text.encode() in m.SerializeToString() for m in self.messages)


class Visitor:
    """One browser's worth of requests: cookies, a websocket session, runs of pages, uploads."""

    def __init__(self, url: str) -> None:
        self.url, self.host = url, urlsplit(url).netloc
        self.cookies: dict[str, str] = {}
        self.session_id, self._socket = "", None
        self._page, self._widgets = "", {}

    async def __aenter__(self) -> "Visitor":
        await asyncio.to_thread(self.request, "GET", "/")
        await asyncio.to_thread(self.request, "GET", "/_stcore/host-config")
        await asyncio.to_thread(self.request, "GET", "/_stcore/health")
        self._socket = await connect(
            f"ws://{self.host}/_stcore/stream", subprotocols=["streamlit", self.cookies.get("_streamlit_xsrf", "none")], origin=self.url,
            additional_headers={"Cookie": self._cookie()}, max_size=MOST_BYTES)
        return self

    async def __aexit__(self, *_) -> None:
        await self._socket.close()

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None) -> tuple[int, bytes]:
        """One HTTP request with this visitor's cookies, which it may change."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.request(method, path, body, {"Accept": "text/html", "Cookie": self._cookie(), **(headers or {})})
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        content = answer.read()
        connection.close()
        return answer.status, content

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    async def run(self, page: str = "", timeout: float = 60.0) -> ScriptRun:
        """Run a page ("" is the home page) with the widgets set so far, to the end of the script."""
        if page != self._page:
            self._widgets.clear()  # as a browser: widgets of the page that was left are gone
        self._page, message = page, BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.widget_states.widgets.extend(self._widgets.values())
        begun = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        async with asyncio.timeout(timeout):
            messages, status = await self._until_finished()
        return ScriptRun(time.perf_counter() - begun, status, messages)

    async def _until_finished(self) -> tuple[list[ForwardMsg], int]:
        messages: list[ForwardMsg] = []
        while True:
            message = ForwardMsg.FromString(await self._socket.recv())
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.session_id = message.new_session.initialize.session_id
            messages.append(message)
            if kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return messages, message.script_finished

    async def upload(self, uploader, name: str, data: bytes) -> int:
        """Put a file into a file_uploader element; the next run has it. Returns the HTTP status."""
        ask = BackMsg()
        ask.file_urls_request.request_id, ask.file_urls_request.session_id = uuid.uuid4().hex, self.session_id
        ask.file_urls_request.file_names.append(name)
        await self._socket.send(ask.SerializeToString())
        while True:
            message = ForwardMsg.FromString(await self._socket.recv())
            if message.WhichOneof("type") == "file_urls_response":
                break
        urls = message.file_urls_response.file_urls[0]
        status = await asyncio.to_thread(self.put, urls.upload_url, name, data)
        state = WidgetState(id=uploader.file_uploader.id)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.name, info.size, info.file_id = name, len(data), urls.file_id
        info.file_urls.CopyFrom(urls)
        self._widgets[state.id] = state
        return status

    def put(self, path: str, name: str, data: bytes, headers: dict | None = None) -> int:
        """PUT a file as Streamlit's front end does."""
        edge = uuid.uuid4().hex
        body = (f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
                f"Content-Type: application/octet-stream\r\n\r\n").encode() + data + f"\r\n--{edge}--\r\n".encode()
        return self.request("PUT", path, body, {
            "Content-Type": f"multipart/form-data; boundary={edge}", "X-Xsrftoken": self.cookies.get("_streamlit_xsrf", ""), "Origin": self.url, **(headers or {})})[0]


def measure_home_reruns(url: str, sessions: int = 20, rounds: int = 3) -> dict:
    """Open the home page in `sessions` sessions, then let all of them run it again at once, `rounds` times.

    Returns {"sessions", "first_seconds": all open, "rerun_seconds": median over the rounds of the time until the last one was done,
    "rerun_rounds": [...], "one_seconds": median time of one session's run, "failed": sentences}.
    """
    return asyncio.run(_measure(url, sessions, rounds))


async def _measure(url: str, sessions: int, rounds: int) -> dict:
    async with Crowd(url, sessions) as visitors:
        begun = time.perf_counter()
        runs = await asyncio.gather(*(visitor.run() for visitor in visitors))
        first, spans, ones = time.perf_counter() - begun, [], []
        for _ in range(rounds):
            begun = time.perf_counter()
            again = await asyncio.gather(*(visitor.run() for visitor in visitors))
            spans.append(time.perf_counter() - begun)
            ones += [run.seconds for run in again]
            runs += again
    failed = [text for run in runs if not run.ok for text in run.exceptions or [f"ended with status {run.status}"]]
    return {"sessions": sessions, "first_seconds": first, "rerun_seconds": statistics.median(spans), "rerun_rounds": spans,
            "one_seconds": statistics.median(ones), "failed": failed}


class Crowd:
    """Many visitors, in and out together."""

    def __init__(self, url: str, count: int) -> None:
        self.visitors = [Visitor(url) for _ in range(count)]

    async def __aenter__(self) -> list[Visitor]:
        return await asyncio.gather(*(visitor.__aenter__() for visitor in self.visitors))

    async def __aexit__(self, *_) -> None:
        await asyncio.gather(*(visitor.__aexit__() for visitor in self.visitors))


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(measure_home_reruns(sys.argv[1]), indent=1))
