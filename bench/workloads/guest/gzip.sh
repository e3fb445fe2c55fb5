work() {
  for i in 1 2 3; do run gzip -n -6 <"$ROOT/data/text" || return; done
}
