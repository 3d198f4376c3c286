"""The dialog of servers that run the network in place of this machine.

`server_dialog` asks for an address and a key and tests them; what waits for the network or the keyring runs in workers.
`server_words` are the sentences about servers.
"""
