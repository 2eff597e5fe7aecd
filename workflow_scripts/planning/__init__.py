"""What the DAG is built from: the validated experiment, its rankers and cells, the code each rule runs."""
