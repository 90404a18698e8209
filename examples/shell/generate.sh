#!/bin/sh
# Makes an image with curl: sh generate.sh PROMPT FILE
# DARKROOM_URL and DARKROOM_TOKEN say where Darkroom runs and who asks. Runs with the same KEY get the same job.
set -eu

if [ $# -ne 2 ]; then
  sed -n '2,3s/^# //p' "$0" >&2
  exit 2
fi
url=${DARKROOM_URL:-http://localhost:8787}
key=${KEY:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# Calls Darkroom and leaves its answer in a file. Tries again while the network or the server fails; a refusal is printed.
call() {
  curl -sS --fail-with-body --retry 5 --retry-connrefused --max-time 90 -o "$answer" \
    ${DARKROOM_TOKEN:+-H "Authorization: Bearer $DARKROOM_TOKEN"} "$@" || { cat "$answer" >&2; exit 1; }
}
# A field at the top of the answer. Darkroom indents JSON unless it is asked not to.
field() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" "$answer"; }

# A form field needs no quoting, whatever the prompt has in it.
call "$url/api/workflows/image-from-text" -H "Idempotency-Key: \"$key\"" \
  --form-string "prompt=$1" --form-string 'size=1328*1328'
job=$url/api/jobs/$(field id)

while [ "$(field done)" = false ]; do
  printf '%s %s\n' "$job" "$(field status)" >&2
  call "$job" -H 'Prefer: wait=30'
done

if [ "$(field status)" != succeeded ]; then
  call "$job" -H 'Accept: text/plain'
  cat "$answer" >&2
  exit 1
fi
call "$job/images/0"
cp "$answer" "$2"
printf '%s %s\n' "$job" "$2"
