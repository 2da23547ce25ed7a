#!/bin/bash
# OUT=FOLDER scripts/train/collect.sh [SECONDS]: waits so long for run.sh to finish, then copies its last save to
# FOLDER, to go on from (run.sh SECONDS FOLDER) or to install (install.sh). At most 6 files, each below 16 MiB:
# transformer-0, transformer-1, decoder (.safetensors), rest.tar (umt5, encoder, classifier, logs.txt), sheets.tar,
# story.tar.
GO=${GO:-/tmp/go}
: "${OUT:?}"
for ((i = 0; i < ${1:-0}; ++i)); do [ -f "$GO/finished" ] && break; sleep 1; done
cut_long() { cut -c1-${1:-300}; }
echo "== status"; tail -n 12 "$GO/status.txt" | cut_long
echo "== transformer"; grep -v '\] step' "$GO/model.log" 2>/dev/null | tail -n 4 | cut_long
grep '\] step' "$GO/model.log" 2>/dev/null | sed -n '1p;/step [1-5]*[05]00 /p;$p' | sed 's/ gradient [^ ]*//' | cut_long
echo "SIGN: first at sigma 1, wanted below 0.15 when reading ends:" \
  $(sed -n 's/.*\] step \([0-9]*\) .* first \[\([0-9.na]*\),.*/\1:\2/p' "$GO/model.log" 2>/dev/null | tail -n 10)
echo "== text encoder"; grep '\] step\|trained' "$GO/text.log" 2>/dev/null | sed -n '1p;$p' | cut_long 400
echo "== decoder"; grep '\] step' "$GO/vae.log" 2>/dev/null | sed -n '1p;$p' | cut_long
echo "== story"; tail -n 3 "$GO/story.log" 2>/dev/null | cut_long
echo "== judged"
grep -h 'aim:\|not followed\|PSNR on\|ratio\|different in four\|place that is told' \
  "$GO/model.log" "$GO/vae.log" "$GO/judge.log" 2>/dev/null | cut_long 400
mkdir -p "$GO/rest"
for name in transformer-0 transformer-1; do cp "$GO/model/$name.safetensors" "$OUT/" 2>/dev/null; done
cp "$GO/vae/decoder.safetensors" "$OUT/" 2>/dev/null
cp "$GO/model/umt5.safetensors" "$GO/vae/encoder.safetensors" "$GO/model/classifier.safetensors" "$GO/rest/" 2>/dev/null
for log in status.txt text.log model.log vae.log story.log judge.log; do
  [ -f "$GO/$log" ] && { echo "=== $log"; tail -c 2000000 "$GO/$log"; }
done > "$GO/rest/logs.txt"
tar -C "$GO/rest" -cf "$OUT/rest.tar" .
pack_sheets() { (cd "$GO" && ls $@ 2>/dev/null | xargs -r tar -cf "$OUT/sheets.tar"); }
pack_sheets 'judged/*.jpg' 'model/*.jpg' 'vae/*.jpg'
[ "$(stat -c %s "$OUT/sheets.tar" 2>/dev/null || echo 0)" -lt 16600000 ] || pack_sheets 'judged/*.jpg' 'vae/*.jpg'
[ "$(stat -c %s "$OUT/sheets.tar" 2>/dev/null || echo 0)" -lt 16600000 ] || rm -f "$OUT/sheets.tar"
[ -d "$GO/story/model" ] && tar -C "$GO/story/model" -cf "$OUT/story.tar" .
ls -la "$OUT"
[ -f "$GO/finished" ] && echo FINISHED
