#!/bin/bash
# scripts/train/install.sh FOLDER: turns what collect.sh has saved in FOLDER into assets/demo (and assets/story), logs
# and sheets of this checkout. Environment: PYTHON (with torch, sentencepiece, safetensors, pillow).
set -e
repo=$(cd "$(dirname "$0")/../.." && pwd) files=$(cd "$1" && pwd) PYTHON=${PYTHON:-python3}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir "$work/model" "$work/vae" "$work/sheets" "$work/rest"
tar -C "$work/rest" -xf "$files/rest.tar"
cp "$files"/transformer-?.safetensors "$work/rest/umt5.safetensors" "$work/model/"
vae=$repo/scripts/train/vae.safetensors                       # the decoder was not trained further
if [ -f "$files/decoder.safetensors" ]; then
  cp "$files/decoder.safetensors" "$work/rest/encoder.safetensors" "$work/vae/"; vae=$work/vae
fi
cd "$repo/scripts/train"
"$PYTHON" export.py --vae "$vae" --model "$work/model" --output "$repo/assets/demo"
chmod 644 "$repo"/assets/demo/*
cp "$work/rest/logs.txt" logs/512.txt
sed -i 's#/tmp/[^ ]*/##g' logs/512.txt
cd "$repo"
git rm -q --cached assets/demo/transformer.safetensors 2>/dev/null || true; rm -f assets/demo/transformer.safetensors
if [ -f "$files/story.tar" ]; then tar -C assets/story -xf "$files/story.tar"; chmod 644 assets/story/*; fi
if [ -f "$files/sheets.tar" ]; then
  tar -C "$work/sheets" -xf "$files/sheets.tar"
  shrink() {  # FROM TO WIDTH
    if [ ! -f "$1" ]; then echo "no $1"; return; fi
    "$PYTHON" - "$@" <<'EOF'
import sys
from PIL import Image
image, width = Image.open(sys.argv[1]), int(sys.argv[3])
image = image.resize((width, round(image.height * width / image.width)), Image.LANCZOS)
image.save(sys.argv[2], quality=82, optimize=True)
EOF
    ls -la "$2"
  }
  shrink "$work/sheets/judged/videos-0.jpg" docs/demo-videos.jpg 1280
  shrink "$work/sheets/judged/changes-0.jpg" docs/demo-changes.jpg 1280
  shrink "$work/sheets/judged/open-0.jpg" docs/demo-open.jpg 1024
  shrink "$work/sheets/judged/hints-0.jpg" docs/demo-hints.jpg 768
  shrink "$work/sheets/vae/vae.jpg" docs/demo-vae.jpg 1536
  rm -rf /tmp/sheets && cp -r "$work/sheets" /tmp/sheets && echo "all sheets: /tmp/sheets"
fi
ls -la assets/demo; du -ab assets | tail -n 1
grep -h 'aim:\|not followed\|PSNR on\|ratio\|different in four\|place that is told' scripts/train/logs/512.txt
