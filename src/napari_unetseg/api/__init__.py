"""What goes over HTTP between server and client: names, shapes and encodings, and nothing else.

`models` are the requests and answers in JSON. Server and client import this room; it imports neither of them.
"""
