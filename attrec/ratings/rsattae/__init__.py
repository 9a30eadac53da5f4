"""RSAttAE: attention-based autoencoders, and the trees that are boosted over what they learn."""
