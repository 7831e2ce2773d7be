"""What each command takes and does, one file each. `cli.py` lists them and loads the one that was asked for.

A file has `EXAMPLE` (the last line of its help), `arguments(parser)` and `run(args)`, which returns
the exit code; and `USAGE` where it takes more than options. The rule: a file imports at its top only
what a probe can afford, and the rest where it is used, because `--help` and `healthcheck` load it too.
"""
