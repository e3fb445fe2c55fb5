# GCC's compiler proper, four times.
work() {
  for i in 1 2 3 4; do run cc1 -quiet -nostdinc -O2 "$ROOT/workloads/compiled.c" -o - || return; done
}
