"""What the tiles do on a GPU beside aihwkit's CUDA tiles, by Triton."""
