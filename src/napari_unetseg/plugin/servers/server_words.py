"""The sentences about servers. Pure functions: no window, no network."""

from typing import TYPE_CHECKING

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.parts.server_names import server_name
from napari_unetseg.plugin.parts.words import device_words

if TYPE_CHECKING:
    from napari_unetseg.client import ServerReport

ACTION_TIP = mark("Shows address and key of the server, and tests them.")
EXPLANATION = mark(
    "A computer with a GPU that runs 'napari-unetseg serve' can run the network for this one. Images are sent to it; "
    "all else stays here."
)
ADDRESS_TIP = mark("Name or IP address and port of the server, such as lab:8001 or https://lab.example.org.")
KEY_TIP = mark("What 'napari-unetseg keys add' printed on the server. Empty where the server asks for none.")
KEY_KEPT = mark("a key is kept; type to replace it")
KEY_NONE = mark("none")
TEST_TIP = mark("Asks the server what it is and whether it takes the key. Nothing is saved.")
SAVE_TIP = mark("Chooses this server, and keeps its address and key.")
REMOVE_TIP = mark("Takes the server out of the Device box, and forgets its key.")
NO_ADDRESS = mark("'{text}' is no address of a server. Type one such as lab:8001 or https://lab.example.org.")
READY = mark("Press Test to see whether the server answers, or Save to use it.")
TESTING = mark("Asking {server}...")
WORKS = mark("The server answers and can be used.")
KEYRING = mark("The key is kept in the keyring of this computer.")
NO_KEYRING = mark("No keyring can be used: the key is kept until napari is closed.")
UNPROTECTED = mark("Over http the key travels unprotected: others in the network can read it.")

FACTS = {
    "version": (mark("Version"), mark("Version of napari-unetseg on the server.")),
    "device": (mark("Device"), mark("Where the server runs the network.")),
    "models": (mark("Models"), mark("Models that the server has.")),
    "answer": (mark("Answers in"), mark("Time from a question to its answer, without any image.")),
}
NOTHING = "-"


def facts(report: "ServerReport | None") -> dict[str, str]:
    """Say what a server said of itself; dashes before it was asked."""
    if report is None:
        return dict.fromkeys(FACTS, NOTHING)
    return {
        "version": report.version,
        "device": device_words(report.device) if report.device else tr("chosen when a model loads"),
        "models": ", ".join(report.models) or tr("none"),
        "answer": f"{1000 * report.seconds:.0f} ms" if report.seconds < 1 else f"{report.seconds:.1f} s",
    }


def testing(address: str) -> str:
    """Say that a server is being asked."""
    return tr(TESTING).format(server=server_name(address))


def address_fault(text: str) -> str:
    """Say that a text is no address."""
    return tr(NO_ADDRESS).format(text=text) if text else tr(ADDRESS_TIP)


def travels_unprotected(address: str, has_key: bool) -> bool:
    """Whether a key would be sent over a network in the clear."""
    from napari_unetseg.client.server_address import ServerAddress

    return has_key and address.startswith("http://") and not ServerAddress.of(address).is_loopback


def lacks_model(address: str, model: str) -> str:
    """Say that a server does not have a model."""
    text = tr("{server} does not have {model}. Choose another model, or another device.")
    return text.format(server=server_name(address), model=model)
