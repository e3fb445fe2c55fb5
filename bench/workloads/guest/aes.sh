# AES-128-CBC, encryption and decryption, of 16 MiB.
key='-K 000102030405060708090a0b0c0d0e0f -iv 0f0e0d0c0b0a09080706050403020100'
work() {
  for i in 1 2 3 4; do
    run openssl enc -aes-128-cbc $key <"$ROOT/data/text" |
      run openssl enc -d -aes-128-cbc $key | "$busybox" md5sum || return
  done
}
