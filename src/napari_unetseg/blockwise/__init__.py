"""Images beyond memory, block by block: labels equal those of the undivided image.

A `BlockJob` goes through the stages of `stages`: each does something to every unit (a tile of the network, or a block
of the plane) and leaves it as a file of the job's folder, which is also the ledger: what has its file is done, whoever
did it. Between two stages the one who leads puts together what all units found. So a run that was killed goes on where
it was, and units may be done by any number of processes that share the folder.
"""
