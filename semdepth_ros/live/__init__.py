"""Programs on a ROS 2 graph: the demonstration, the benchmark, playing and recording bags, nodes as processes."""
