"""GLocal-K (Han et al. 2021): an autoencoder of rating columns with local and global kernels."""
