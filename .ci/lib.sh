# What .ci/run and .ci/full share: steps whose times are printed, and the sum of what tests said.

log=$(mktemp)
times=()
# Also where a step fails.
trap 'print_times; rm -f "$log"' EXIT

# step NAME COMMAND...: runs a command and notes its time; the script ends where one fails.
step() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  current=$name since=$start
  "$@"
  current=""
  times+=("$(printf '%5ds  %s' $((SECONDS - start)) "$name")")
}

# tests ARGS...: cargo test, whose output is kept for `counted`.
tests() {
  cargo test --release --locked "$@" 2>&1 | tee -a "$log"
}

# counted WORD: the sum of `N WORD` over all the result lines of `tests` so far.
counted() {
  sed -n "s/^test result: .* \([0-9]*\) $1;.*/\1/p" "$log" | awk '{ sum += $1 } END { print sum + 0 }'
}

# Prints the times once.
print_times() {
  [ -n "${printed:-}" ] && return
  printed=yes
  [ -n "${current:-}" ] && times+=("$(printf '%5ds  %s (failed)' $((SECONDS - since)) "$current")")
  printf '\nTime of each step:\n'
  printf '%s\n' "${times[@]}" "$(printf '%5ds  in all' "$SECONDS")"
}
