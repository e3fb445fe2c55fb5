work() { "$ROOT/bin/nbody" 1200000; }
