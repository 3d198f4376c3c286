"""Addresses of servers, as people write them."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from napari_unetseg.api.models import PREFIX
from napari_unetseg.errors import ParameterError
from napari_unetseg.language import Sentence

DOCS = "/docs"
"""Where a server describes itself; people copy the address of that page."""


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is.

    Attributes
    ----------
    url
        Scheme, host, port and what a proxy puts before the path, without a slash at the end: ``"http://lab:8001"``.
    host
        Name or number of the machine.
    """

    url: str
    host: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Read an address; one without a scheme, such as ``lab:8001``, is meant with http.

        Raises
        ------
        ParameterError
            If it is none; the message says how one looks.
        """
        try:
            typed = text.strip() if isinstance(text, str) else ""
            parts = urlsplit(typed if "://" in typed else f"http://{typed}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if (
            host is None
            or any(map(str.isspace, host))
            or parts.scheme not in ("http", "https")
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            raise ParameterError(
                Sentence(
                    "server = {address!r}: this is no address of a server. Write it as http://lab:8001 or "
                    "https://lab.example.org.",
                    address=text,
                )
            )
        name = f"[{host}]" if ":" in host else host
        path = parts.path.rstrip("/").removesuffix(DOCS).removesuffix(PREFIX)
        return cls(f"{parts.scheme}://{name}{'' if port is None else f':{port}'}{path}", host)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    def __str__(self) -> str:
        return self.url.partition("://")[2]  # in messages: short, as people call it
