"""Two small services of long-running tasks, written by nobody who knows longhaul.

    pattern.py architecture-center [302|303]
    pattern.py operation-location

They listen on a free port of 127.0.0.1, print it as their first line, and stop when their stdin is closed.

architecture-center, after the "Asynchronous Request-Reply" pattern of the Azure Architecture Center:
    POST /api/work         202, Location relative, Retry-After 1
    GET  /api/status/ID    200 {"status": "In progress"} twice, then a redirect, 303 unless told otherwise
    GET  /api/result/ID    200, JSON without a Content-Type, with the path and query of the submit

operation-location, as services do it that were never tested against a strict client:
    POST /api/rows         202, Operation-Location relative to the folder, a Location that is no URL, Retry-After 0.5
    GET  /api/operations/ID  202 and 200 while it runs, then the result in the status; no Content-Type anywhere.
                           400 without the header X-Tenant that the submit had.
"""

import itertools
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ids = itertools.count(1)
    tasks = {}
    lock = threading.Lock()

    def do_POST(self):
        self.body()
        with self.lock:
            self.submit(str(next(self.ids)))

    def do_GET(self):
        self.body()
        folder, _, number = self.path.rpartition("/")
        with self.lock:
            if number in self.tasks:
                self.look(folder, number)
            else:
                self.answer(404, {"error": {"code": "NotFound", "message": "There is no such task."}})

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body=None, **headers):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class ArchitectureCenter(Service):
    redirect = 303

    def submit(self, number):
        if self.path.partition("?")[0] != "/api/work":
            return self.answer(400, {"error": {"code": "BadPath", "message": f"{self.path} takes no work."}})
        self.tasks[number] = [0, self.path]
        self.answer(202, Location=f"/api/status/{number}", Retry_After="1")

    def look(self, folder, number):
        if folder == "/api/result":
            return self.answer(200, {"rows": 7, "submitted": self.tasks[number][1]})
        self.tasks[number][0] += 1
        if self.tasks[number][0] <= 2:
            return self.answer(200, {"status": "In progress"}, Content_Type="application/json")
        self.answer(self.redirect, Location=f"/api/result/{number}")


class OperationLocation(Service):
    def submit(self, number):
        self.tasks[number] = (0, self.headers.get("X-Tenant"))
        self.answer(
            202,
            {"status": "NotStarted"},
            Operation_Location=f"operations/{number}",
            Location="http://[not a url",
            Retry_After="0.5",
        )

    def look(self, folder, number):
        polls, tenant = self.tasks[number]
        if folder != "/api/operations" or not tenant or self.headers.get("X-Tenant") != tenant:
            return self.answer(400, {"error": {"code": "NoTenant", "message": "X-Tenant is not that of the submit."}})
        self.tasks[number] = (polls + 1, tenant)
        if polls < 2:
            percent = (polls + 1) * 40
            return self.answer(
                202 if polls == 0 else 200, {"status": "Running", "percentComplete": percent}, Retry_After="0.5"
            )
        self.answer(200, {"status": "Succeeded", "result": {"rows": 7}})


def main():
    name, *more = sys.argv[1:]
    handler = {"architecture-center": ArchitectureCenter, "operation-location": OperationLocation}[name]
    if more:
        handler.redirect = int(more[0])
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
