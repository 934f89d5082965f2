"""Camera images in; metric depth, semantic classes and labelled point clouds out."""
import os

__version__ = '0.1.0'

# Threads that spin while they wait take the processor from those they wait for: on a busy machine a frame then takes
# fifty times as long. OpenMP reads this once, when torch is imported.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
