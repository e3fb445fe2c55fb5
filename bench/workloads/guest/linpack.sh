work() { "$ROOT/bin/linpack" 300 18; }
