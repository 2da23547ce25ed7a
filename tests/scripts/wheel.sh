#!/usr/bin/env bash
# Makes the wheel twice, installs it in a fresh environment and renders with only that environment's bin in PATH. torch
# is that of .venv, so that nothing is downloaded. The limit of 90 s is for processor time, since the machine may be
# busy; where it is not, the clock shows less.
# usage: wheel.sh [WHEEL]   (one that exists)
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "wheel: $*" >&2; exit 1; }

if [ $# = 0 ]; then
  rm -f dist/flashblock-*.whl
  scripts/package wheel
fi
wheel=${1:-$(echo dist/flashblock-*.whl)}
[ "$(stat -c %s "$wheel")" -le 90000000 ] || fail "$wheel is larger than 90 MB"
if [ $# = 0 ]; then
  sum=$(sha256sum <"$wheel")
  # From what is staged: a second link of the program would take long. Its time is another one on purpose.
  find build/bundle/flashblock-* -exec touch {} +
  PYTHONPATH=scripts python3 -c 'from packages import common, wheel; wheel.write(common.WORK / common.bundle_name())'
  [ "$(sha256sum <"$wheel")" = "$sum" ] || fail "two wheels differ"
fi

began=$SECONDS
times >"$work/times"  # of this shell and of its children: user and system
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
env/bin/pip check  # the wheel's requirement is met
flashblock doctor
flashblock render "a red ball in the city" --seconds 1 --seed 1 -o video.mp4 --progress none
[ "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 video.mp4)" = 16 ]
seconds=$((SECONDS - began))
times >>"$work/times"
processor=$(awk '{ for (i = 1; i <= 2; ++i) { split($i, t, "[ms]"); sum[NR > 2] += 60 * t[1] + t[2] } }
  END { printf "%.0f", sum[1] - sum[0] }' "$work/times")
[ "$processor" -le 90 ] || fail "from the wheel to a video it took $processor s of processor time"
package=$(echo "$work"/env/lib/python3*/site-packages/flashblock)
# Not `| grep -q`: with pipefail, what still writes after grep has found it makes the line fail.
grep -q "libavcodec.*$package/lib" <<<"$(LD_LIBRARY_PATH=$package/lib:$site/torch/lib ldd "$package/bin/flashblock")" ||
  fail "the program takes another FFmpeg than that of the wheel"
grep -q self-forcing-dmd <<<"$(flashblock help models)" || fail "the presets are missing"
echo "wheel: from a fresh environment to a video in $seconds s ($processor s of processor time); torch was there"
