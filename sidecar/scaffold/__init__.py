"""What `sidecar init` writes: a configuration, and what starts a sidecar with it. Texts in, texts out; one kind a file.

The rule: what a person typed is quoted for the file that it goes into, and no secret goes into any of them.
"""
