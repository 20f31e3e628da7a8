"""The process that runs Python user code. Shares L0 and `protocol/worker` with the server, nothing else."""
