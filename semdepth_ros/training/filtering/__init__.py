"""Finding the training images in which a model sees through the ground, and leaving them out of its next training."""
