"""What can go wrong between this machine and a server, in sentences that say what to do."""

from napari_unetseg.errors import ComputerGone, UnetsegError


class ServerError(UnetsegError):
    """A server cannot do what it was asked for."""


class ServerUnreachable(ServerError, ComputerGone):
    """There is no answer from that address, or from something else than a server of ours."""


class KeyRefused(ServerError, ComputerGone):
    """The server wants a key, or another one."""


class ServerDied(ServerError, ComputerGone):
    """The server went away in the middle of an answer, or fell silent."""


class ServerBusy(ServerError):
    """The server has enough to do, and had when it was asked again."""
