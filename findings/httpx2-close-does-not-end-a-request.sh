#!/bin/sh
# httpx2 2.16.2: `Client.close()` from another thread does not end a request that waits for its answer. The thread waits
# until the server answers, and only then gets `ReadError`.
#
# One expects the waiting request to fail at once, as that of an `AsyncClient` does whose task is cancelled. Build Cancel
# on that: an `AsyncClient` in a loop of its own thread.
#
# Seen: closed: ReadError after the server answered ; cancelled: ended before
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "httpx2==2.16.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

asked, go_on = threading.Event(), threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.set()
        go_on.wait(20)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"


def closed():
    client, ended = httpx2.Client(timeout=30), []

    def get():
        try:
            ended.append(str(client.get(url).status_code))
        except Exception as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=get)
    thread.start()
    asked.wait()
    time.sleep(1)  # until it waits for the answer; what closes before meets it on its way
    client.close()
    thread.join(3)
    waited = thread.is_alive()
    go_on.set()
    thread.join()
    return f"{ended[0]} {'after the server answered' if waited else 'before'}"


async def cancelled():
    asked.clear()
    go_on.clear()
    async with httpx2.AsyncClient(timeout=30) as client:
        task = asyncio.create_task(client.get(url))
        await asyncio.to_thread(asked.wait)
        task.cancel()
        await asyncio.wait([task], timeout=3)
        return "ended before" if task.cancelled() and not go_on.is_set() else "went on"


print("closed:", closed(), "; cancelled:", asyncio.run(cancelled()))
go_on.set()
PYTHON
)
echo "$seen"
test "$seen" = "closed: ReadError after the server answered ; cancelled: ended before"
