"""Recordings of drives without a graph: replayed, inspected, cut, evaluated, made of sequences."""
