"""A server in place of this machine: `RemoteService` has the verbs of `SegmentationService`, and needs no torch."""
