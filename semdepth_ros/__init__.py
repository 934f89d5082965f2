"""Camera images in; metric depth, semantic classes and labelled point clouds out."""

__version__ = '0.1.0'
