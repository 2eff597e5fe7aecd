"""How fast and how large the project is: beside its peers, on a GPU, and as a collection grows."""
