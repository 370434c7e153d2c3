"""A Gemini on 127.0.0.1: real HTTP, with whatever weather a test orders."""

import base64
import collections
import contextlib
import hashlib
import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

KEY = "AIza-not-a-real-key-0123456789"
MODEL = "gemini-test"
INPUT_TOKENS, OUTPUT_TOKENS = 300, 50


class Request(NamedTuple):
    """One question as it came in."""

    image: str  # sha256
    model: str
    temperature: float
    time: float  # seconds, monotonic
    weather: str
    body: dict


Weather = Callable[[str, int], str]  # (sha256 of the image, how often it was asked about before) -> what to answer


def lines_of(image: str) -> list[str]:
    """The words on every image, for this Gemini."""
    return ["THE POSTER", image[:12]]


def answer(image: str, *, finish: str = "STOP", text: str | None = None) -> dict:
    """A whole answer in the service's words."""
    if text is None:
        text = json.dumps({"language": "en", "lines": lines_of(image)})
    return {
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": finish}],
        "usageMetadata": {
            "promptTokenCount": INPUT_TOKENS,
            "candidatesTokenCount": OUTPUT_TOKENS,
            "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
        },
        "modelVersion": f"{MODEL}-001",
    }


def error(code: int, status: str, message: str, *details: dict) -> tuple[int, dict]:
    """An error as the service words it."""
    return code, {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def _quota(name: str) -> dict:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}


def _withheld(image: str, finish: str) -> dict:
    answered = answer(image)
    answered["candidates"] = [{"finishReason": finish}]
    return answered


def _respond(weather: str, image: str) -> tuple[int, dict]:
    """Status and JSON for the kinds of weather in which there is an answer."""
    kind, _, argument = weather.partition(":")
    busy = (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.")
    if kind == "429":
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{argument}s"}
        return error(*busy, _quota("GenerateRequestsPerMinutePerProjectPerModel"), *([delay] if argument else []))
    if kind == "429day":
        return error(*busy, _quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    if kind == "500":
        return error(500, "INTERNAL", "An internal error has occurred.")
    if kind == "503":
        return error(503, "UNAVAILABLE", "The model is overloaded.")
    if kind == "400":
        return error(400, "INVALID_ARGUMENT", "Unable to process input image.")
    if kind == "404":
        return error(404, "NOT_FOUND", "models/x is not found for API version v1beta.")
    if kind == "key":
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        return error(400, "INVALID_ARGUMENT", f"API key not valid: {KEY}. Please pass a valid API key.", reason)
    if kind == "403":
        return error(403, "PERMISSION_DENIED", f"Your API key {KEY} was reported as leaked.")
    if kind == "ok":
        return 200, answer(image)
    if kind == "say":
        return 200, answer(image, text=argument)
    if kind == "none":
        return 200, answer(image, text=json.dumps({"language": "", "lines": []}))
    if kind == "text":
        return 200, answer(image, text="THE POSTER\nwithout JSON")
    if kind == "max_tokens":
        return 200, answer(image, finish="MAX_TOKENS", text='{"language": "en", "lines": ["THE POSTER", "a torn li')
    if kind == "empty":
        return 200, _withheld(image, "STOP")
    if kind in ("recitation", "safety", "other"):
        return 200, _withheld(image, kind.upper())
    if kind == "blocked":
        return 200, {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": INPUT_TOKENS},
        }
    raise AssertionError(weather)


class BatchService:
    """The files and batches of the service; a batch is done once `finish` was called.

    Attributes:
      jobs: name -> the operation as the service shows it, with its questions.
      orders: what the next calls of a kind meet, such as {"create": ["drop"]}: nothing said, though the job was made.
    """

    def __init__(self, server: "GeminiServer"):
        self.server = server
        self.files: dict[str, bytes] = {}
        self.jobs: dict[str, dict] = {}
        self.orders: dict[str, list[str]] = {}
        self.result_of_file: dict[str, bytes] = {}

    def finish(self, state: str = "BATCH_STATE_SUCCEEDED") -> None:
        """Ends all jobs; those that succeed have an answer to each question."""
        for name, job in self.jobs.items():
            if job["metadata"]["state"] != "BATCH_STATE_PENDING":
                continue
            job["metadata"]["state"] = state
            if state != "BATCH_STATE_SUCCEEDED":
                continue
            lines = []
            for line in self.files[job["file"]].decode().splitlines():
                question = json.loads(line)
                image = image_of(question["request"])
                assert image == question["key"]
                weather = self.server.take(image, job["model"], question["request"])
                self.server.leave(image, whole=True)
                status, payload = _respond(weather, image)
                lines.append({"key": image, **({"response": payload} if status == 200 else payload)})
            results = f"files/result-{name.removeprefix('batches/')}"
            whole = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            self.files[results] = whole.encode(errors="backslashreplace")
            job["metadata"]["output"] = {"responsesFile": results}

    def post(self, handler: http.server.BaseHTTPRequestHandler) -> bool:
        path = handler.path.partition("?")[0]
        body = None
        if path.startswith("/upload/"):
            body = handler.rfile.read(int(handler.headers["Content-Length"]))
            if handler.headers["X-Goog-Upload-Command"] == "start":
                name = f"files/upload-{len(self.files)}"
                self.files[name] = b""
                address = f"{self.server.url}/upload/session/{name.removeprefix('files/')}"
                _send(handler, 200, {}, {"X-Goog-Upload-URL": address, "X-Goog-Upload-Status": "active"})
            else:
                name = f"files/{path.rpartition('/')[2]}"
                self.files[name] += body
                final = "finalize" in handler.headers["X-Goog-Upload-Command"]
                _send(handler, 200, {"file": {"name": name}}, {"X-Goog-Upload-Status": "final" if final else "active"})
            return True
        if not path.endswith(":batchGenerateContent"):
            return False
        batch = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))["batch"]
        order = self.orders.get("create", []).pop(0) if self.orders.get("create") else "ok"
        if order.startswith(("429", "key")):
            status, payload = _respond(order, "")
            _send(handler, status, payload)
            return True
        name = f"batches/{len(self.jobs)}"
        self.jobs[name] = {
            "name": name,
            "file": batch["inputConfig"]["fileName"],
            "model": path.rpartition("/")[2].partition(":")[0],
            "metadata": {"displayName": batch["displayName"], "state": "BATCH_STATE_PENDING"},
        }
        if order == "drop":
            handler.close_connection = True
        else:
            _send(handler, 200, {key: self.jobs[name][key] for key in ("name", "metadata")})
        return True

    def get(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        if path.endswith(":download"):
            data = self.files["files/" + path.rpartition("/")[2].partition(":")[0]]
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        elif path.endswith("/batches"):
            _send(handler, 200, {"operations": list(self.jobs.values())})
        else:
            _send(handler, 200, self.jobs["batches/" + path.rpartition("/")[2]])


def image_of(request: dict) -> str:
    """sha256 of the image in a question."""
    blob = next(part["inlineData"]["data"] for part in request["contents"][0]["parts"] if "inlineData" in part)
    return hashlib.sha256(base64.b64decode(blob.replace("-", "+").replace("_", "/"))).hexdigest()


def _send(handler: http.server.BaseHTTPRequestHandler, status: int, payload: dict, headers: dict | None = None) -> None:
    data = json.dumps(payload).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


class GeminiServer:
    """The running server: what was asked, and what was answered.

    Attributes:
      requests: in the order in which they came.
      batches: the batch API.
      answered: images of those 200 answers that went out whole.
    """

    def __init__(self, weather: Weather):
        self.weather, self.requests = weather, list[Request]()
        self.answered: list[tuple[str, float]] = []
        self.under_way = self.most_under_way = 0
        self.asked = collections.Counter[str]()
        self._lock = threading.Lock()
        self.batches = BatchService(self)
        self.url = ""

    def take(self, image: str, model: str, body: dict) -> str:
        with self._lock:
            weather = self.weather(image, self.asked[image])
            self.asked[image] += 1
            temperature = body.get("generationConfig", {}).get("temperature")
            self.requests.append(Request(image, model, temperature, time.monotonic(), weather, body))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            return weather

    def leave(self, image: str, *, whole: bool) -> None:
        with self._lock:
            self.under_way -= 1
            if whole:
                self.answered.append((image, time.monotonic()))


def _handler(server: GeminiServer, seconds: float) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            server.batches.get(self)

        def do_POST(self):
            if server.batches.post(self):
                return
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            match = re.search(r"models/([^/:]+):generateContent$", self.path.partition("?")[0])
            assert match, self.path
            assert KEY in (self.headers.get("x-goog-api-key"), None)
            image = image_of(body)
            weather = server.take(image, match[1], body)
            whole = False
            try:
                if seconds:
                    time.sleep(seconds)
                kind, _, argument = weather.partition(":")
                if kind == "hang":
                    time.sleep(float(argument))
                    self.close_connection = True
                    return
                if kind == "slow":
                    time.sleep(float(argument))
                    kind = weather = "ok"
                if kind == "drop":  # the connection is cut before a word is said
                    self.close_connection = True
                    return
                status, payload = (200, answer(image)) if kind in ("cut", "malformed") else _respond(weather, image)
                data = json.dumps(payload).encode()
                if kind == "malformed":
                    data = data[: len(data) // 2]
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if kind == "cut" else data)
                self.wfile.flush()
                if kind == "cut":
                    self.close_connection = True
                whole = status == 200 and kind not in ("cut", "malformed")
            except OSError:  # the client is gone
                self.close_connection = True
            finally:
                server.leave(image, whole=whole)

        def log_message(self, *_):
            pass

    return Handler


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that was killed


@contextlib.contextmanager
def serve(weather: Weather | str = "ok", *, seconds: float = 0.0) -> Iterator[GeminiServer]:
    """Serves until the block ends.

    Args:
      weather: for each question, or the same for all.
      seconds: that every answer takes.
    """
    server = GeminiServer((lambda image, before: weather) if isinstance(weather, str) else weather)
    http_server = _HttpServer(("127.0.0.1", 0), _handler(server, seconds))
    server.url = f"http://127.0.0.1:{http_server.server_address[1]}"
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http_server.shutdown()
        http_server.server_close()
