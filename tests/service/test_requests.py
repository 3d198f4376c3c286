"""Every call has an id, its parts have the same one, and threads do not share theirs."""

import threading

from napari_unetseg.service.requests import request, request_id


def test_a_call_has_an_id_of_its_own():
    with request() as first:
        assert request_id() == first
    with request() as second:
        assert second != first
    assert request_id() is None


def test_a_part_bears_the_id_of_the_whole():
    with request("mine") as whole, request() as part:
        assert whole == part == request_id() == "mine"


def test_threads_have_ids_of_their_own():
    seen = []

    def call():
        with request() as identity:
            seen.append(identity)

    with request() as here:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert seen != [here]
        assert request_id() == here
