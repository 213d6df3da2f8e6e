"""pygeoapi with two processes: `slow` echoes after a second, `broken` fails. It ends with its standard input."""

import os
import pathlib
import socket
import sys
import tempfile
import threading
import time

from pygeoapi.process.base import BaseProcessor, ProcessorExecuteError
from werkzeug.serving import make_server

OUTPUTS = {"echo": {"title": "echo", "schema": {"type": "object", "contentMediaType": "application/json"}}}


def metadata(name):
    return {
        "version": "1",
        "id": name,
        "title": name,
        "description": name,
        "jobControlOptions": ["sync-execute", "async-execute"],
        "outputTransmission": ["value"],
        "keywords": [],
        "links": [],
        "inputs": {"text": {"title": "text", "schema": {"type": "string"}, "minOccurs": 1, "maxOccurs": 1}},
        "outputs": OUTPUTS,
        "example": {"inputs": {"text": "x"}},
    }


class Slow(BaseProcessor):
    def __init__(self, definition):
        super().__init__(definition, metadata("slow"))

    def execute(self, data, outputs=None):
        time.sleep(1)
        return "application/json", {"echo": data["text"]}


class Broken(BaseProcessor):
    def __init__(self, definition):
        super().__init__(definition, metadata("broken"))

    def execute(self, data, outputs=None):
        raise ProcessorExecuteError("no such field")


def settings(url, folder):
    text = {"en": "x"}
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": 0},
            "url": url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": ["en-US"],
            "limits": {"default_items": 10, "max_items": 10},
            "map": {"url": "https://tile.example/{z}/{x}/{y}.png", "attribution": "x"},
            "manager": {"name": "TinyDB", "connection": f"{folder}/jobs.db", "output_dir": f"{folder}"},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": text,
                "description": text,
                "keywords": {"en": ["x"]},
                "keywords_type": "theme",
                "terms_of_service": "x",
                "url": "https://a.example",
            },
            "license": {"name": "x", "url": "https://a.example"},
            "provider": {"name": "x", "url": "https://a.example"},
            "contact": {"name": "x", "email": "a@b.example", "url": "https://a.example"},
        },
        "resources": {
            name: {"type": "process", "processor": {"name": f"processes.{name.capitalize()}"}}
            for name in ["slow", "broken"]
        },
    }


def serve():
    import yaml

    here = pathlib.Path(__file__).parent
    sys.path.insert(0, str(here))
    door = socket.create_server(("127.0.0.1", 0))
    port = door.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "config.yml")
        config.write_text(yaml.safe_dump(settings(url, folder)))
        openapi = pathlib.Path(folder, "openapi.yml")
        openapi.write_text("openapi: 3.0.2\ninfo: {title: x, version: '1'}\npaths: {}\n")
        os.environ.update(PYGEOAPI_CONFIG=str(config), PYGEOAPI_OPENAPI=str(openapi))
        from pygeoapi.flask_app import APP

        server = make_server("127.0.0.1", port, APP, threaded=True, fd=door.fileno())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve()
