work() { run python3 -S -B "$ROOT/workloads/benchmark.py"; }
