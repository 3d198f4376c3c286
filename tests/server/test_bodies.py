"""Bodies are received without keeping the event loop from other requests."""

import asyncio

from starlette.requests import Request

from napari_unetseg.server.bodies import read_body


def test_the_parts_of_a_body_are_joined_in_a_thread(monkeypatch):
    joined = []
    in_a_thread = asyncio.to_thread

    def noted(function, parts):
        joined.append(list(parts))
        return in_a_thread(function, parts)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    parts = [b"ab", b"", b"cd"]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"e", "more_body": False})

    async def receive():
        return messages.pop(0)

    assert asyncio.run(read_body(Request({"type": "http", "headers": []}, receive))) == b"abcde"
    assert [b"".join(one) for one in joined] == [b"abcde"]
