"""Scripts by which shells complete the command line, made of the commands' own parsers: nothing is listed twice."""
