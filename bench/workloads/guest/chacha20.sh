key='-K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f -iv 0f0e0d0c0b0a09080706050403020100'
work() {
  for i in 1 2 3 4 5 6 7 8; do
    run openssl enc -chacha20 $key -in "$ROOT/data/text" -out "$SCRATCH/output" || return
  done
  "$busybox" md5sum <"$SCRATCH/output"
}
