prepare() { "$busybox" head -c 1048576 "$ROOT/data/text" >"$SCRATCH/input"; }
work() { run xz -4 --stdout "$SCRATCH/input"; }
