"""Where collections come from: ir_datasets, a generated language, a user's own files, documents' titles."""
