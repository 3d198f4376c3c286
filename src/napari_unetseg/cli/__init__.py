"""The command line: words of the shell translated into the service's verbs."""
