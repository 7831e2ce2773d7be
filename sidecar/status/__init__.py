"""How a running sidecar is doing, shown to a person, once or again and again; of the standard library alone."""
