#!/usr/bin/env bash
# Makes the wheel twice, installs it in a fresh environment and renders with only that environment's bin in PATH. torch
# is that of .venv, so that nothing is downloaded.
# usage: wheel.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "wheel: $*" >&2; exit 1; }

rm -f dist/flashblock-*.whl
scripts/package wheel
wheel=$(echo dist/flashblock-*.whl)
[ "$(stat -c %s "$wheel")" -le 90000000 ] || fail "$wheel is larger than 90 MB"
sum=$(sha256sum <"$wheel")
# From what is staged: a second link of the program would take long. Its time is another one on purpose.
find build/bundle/flashblock-* -exec touch {} +
PYTHONPATH=scripts python3 -c 'from packages import common, wheel; wheel.write(common.WORK / common.bundle_name())'
[ "$(sha256sum <"$wheel")" = "$sum" ] || fail "two wheels differ"

began=$SECONDS
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-index "$wheel"
grep -q '^Requires-Dist: torch==2.11.\*$' "$work"/env/lib/python3*/site-packages/flashblock-*.dist-info/METADATA
[ -s "$work/env/share/man/man1/flashblock.1" ]
cd "$work"
flashblock() { env -i PATH="$work/env/bin" HOME="$work" flashblock "$@"; }
if flashblock --version 2>refusal; then fail "it started without torch"; fi
grep -q 'pip install torch==2.11' refusal
[ "$(wc -l <refusal)" = 1 ] || fail "a refusal is one line"

site=$(echo "$(readlink -f "$OLDPWD/.venv")"/lib/python3*/site-packages)
echo "$site" >"$(echo env/lib/python3*/site-packages)/torch.pth"
flashblock doctor
flashblock render "a red ball in the city" --seconds 1 --seed 1 -o video.mp4 --progress none
[ "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 video.mp4)" = 16 ]
[ $((SECONDS - began)) -le 90 ] || fail "from the wheel to a video it took $((SECONDS - began)) s"
package=$(echo "$work"/env/lib/python3*/site-packages/flashblock)
LD_LIBRARY_PATH=$package/lib:$site/torch/lib ldd "$package/bin/flashblock" | grep -q "libavcodec.*$package/lib" ||
  fail "the program takes another FFmpeg than that of the wheel"
flashblock help models | grep -q self-forcing-dmd || fail "the presets are missing"
echo "wheel: from a fresh environment to a video in $((SECONDS - began)) s"
