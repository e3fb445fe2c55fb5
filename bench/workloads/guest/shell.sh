# One process: arithmetic, tests, parameters and functions of the shell.
step() {
  case $1 in
    *0) total=$((total + $1 * 3)) ;;
    *[13579]) total=$((total ^ $1)) ;;
    *) word=${1%?}x${word%%x*} ;;
  esac
}
work() {
  local i=0 total=0 word=ab
  while [ $i -lt 50000 ]; do
    step $i
    i=$((i + 1))
  done
  echo "$total $word"
}
