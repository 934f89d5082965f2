"""The ``semdepth`` program: every command a few lines over the floors below."""
