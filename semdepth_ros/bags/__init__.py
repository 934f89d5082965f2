"""Bag files: types, topics, quality of service, reading and writing, with the rosbags library."""
