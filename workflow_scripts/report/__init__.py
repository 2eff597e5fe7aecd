"""Tables and figures about the experiment itself."""
