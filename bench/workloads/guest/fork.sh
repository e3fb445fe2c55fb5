# Processes: each turn forks a subshell and runs two dynamically linked programs and a pipe.
work() {
  local i=0 sum=0
  while [ $i -lt 30 ]; do
    sum=$((sum + $(run expr $i + 1)))
    (exit $((i % 7)))
    sum=$((sum + $?))
    sum=$((sum + $(echo "$i" | run cut -c1)))
    i=$((i + 1))
  done
  echo $sum
}
