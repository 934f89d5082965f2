"""rclpy nodes, thin, and the programs that run beside them on a graph."""
