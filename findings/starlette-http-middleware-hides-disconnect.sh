#!/bin/sh
# starlette 1.10.0 (FastAPI 0.165.0, uvicorn 0.54.0): below any `@app.middleware("http")`, `request.is_disconnected()` of an
# endpoint stays False after the client has gone, so work that polls it is never stopped. Without such a middleware it is
# True at the next question; `await request.receive()` gets "http.disconnect" in both cases.
#
# One expects a middleware that does nothing to change nothing. A middleware of three lines of plain ASGI does not.
#
# Seen: without: polled True, received http.disconnect ; with: polled False, received http.disconnect
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "starlette==1.10.0" "fastapi==0.165.0" "uvicorn==0.54.0"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import socket

import uvicorn
from fastapi import FastAPI, Request


def make_app(found, entered, *, with_middleware):
    app = FastAPI()
    if with_middleware:

        @app.middleware("http")
        async def nothing(request, call_next):
            return await call_next(request)

    @app.get("/{how}")
    async def wait(how: str, request: Request):
        entered.set()
        if how == "poll":
            for _ in range(60):
                found[how] = await request.is_disconnected()
                if found[how]:
                    break
                await asyncio.sleep(0.05)
        else:
            await request.receive()  # the end of the empty body
            found[how] = (await asyncio.wait_for(request.receive(), 3))["type"]
        found["done"].set()

    return app


async def ask(*, with_middleware):
    found, entered = {"done": asyncio.Event()}, asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = make_app(found, entered, with_middleware=with_middleware)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        for how in ("poll", "receive"):
            found["done"].clear()
            entered.clear()
            _, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(f"GET /{how} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await entered.wait()
            writer.close()
            await found["done"].wait()
        server.should_exit = True
        await task
    return f"polled {found['poll']}, received {found['receive']}"


async def main():
    without = await ask(with_middleware=False)
    print("without:", without, "; with:", await ask(with_middleware=True))


asyncio.run(main())
PYTHON
)
echo "$seen"
test "$seen" = "without: polled True, received http.disconnect ; with: polled False, received http.disconnect"
