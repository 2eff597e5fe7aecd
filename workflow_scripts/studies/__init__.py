"""Studies beside the main grid."""
