"""Model packages of the BioImage Model Zoo: read as models of ours, and written from them."""
