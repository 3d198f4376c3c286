"""Servers that run the network in place of this machine.

`server_dialog` asks for an address and a key and tests them, `server_setup` opens it and keeps the key, and
`server_models` asks a server which models it has; all that waits for the network or the keyring runs in workers.
`server_words` are their sentences.
"""
