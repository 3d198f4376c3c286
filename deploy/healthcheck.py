"""Ask the server in this container whether it lives: exit status 0 if it does, else 1 and a line on why.

The container's health check runs it, because the image has no curl. It asks the loopback address, and not through a
proxy that the environment may name. With TLS (`--tls`) the certificate is not
checked, as it names the host and not the loopback address.

Usage: ``healthcheck.py [--tls] [PORT]``
"""

import http.client
import ssl
import sys

SECONDS = 4


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    ports = [int(word) for word in arguments if word != "--tls"] or [8001]
    if "--tls" in arguments:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", ports[0], timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"no answer: {error}\n")
        return 1
    finally:
        connection.close()
    if status != 200:
        sys.stderr.write(f"answered {status}\n")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
