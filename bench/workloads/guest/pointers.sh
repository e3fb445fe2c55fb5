work() { "$ROOT/bin/chase" 12000000; }
