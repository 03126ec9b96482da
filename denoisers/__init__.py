"""Networks that remove noise: training, evaluation and inference."""
