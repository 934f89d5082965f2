"""What cameras do to pictures, on batches of triplets [R, 3, 3, H, W] (triplet, frame, channel) in 0..1.

Of each effect there are two functions: draw_x(knobs, rng) draws its numbers, x(images, numbers) applies them on the
images' device; numbers are float32 [R, K] on the host, in the order they were drawn in.
"""
