"""What all models share: training, storage, layers."""
