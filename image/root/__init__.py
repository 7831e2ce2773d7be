"""Puts together the root of the final image; runs inside the Dockerfile's first stage, by its Python alone.

The rule: what is not named here is not in the image. There is no shell and no package manager to take out again,
because none was put in.
"""
