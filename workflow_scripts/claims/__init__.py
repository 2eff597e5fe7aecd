"""Claims about distillation, judged."""
