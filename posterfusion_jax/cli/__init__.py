"""The commands: verbs of `posterfusion`, the chain of stages, and the programs behind launch/*.py."""
