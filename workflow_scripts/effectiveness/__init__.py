"""Tables of effectiveness over the grid."""
