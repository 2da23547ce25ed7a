#!/usr/bin/env bash
# Builds the image from Debian's packages, without LibTorch, starts it with that of .venv as a volume, orders a video by
# HTTP and fetches it. Needs root, buildah, podman, runc, mmdebstrap and curl. Exit status 77: this machine starts
# no containers, nothing was tested.
# usage: image.sh [ARCHIVE]   (of an image without LibTorch that exists)
set -euo pipefail
cd "$(dirname "$0")/../.."
# Within another container: its network, its limits, and a runtime that knows version 1 of cgroups.
container=(podman --runtime runc --cgroup-manager=cgroupfs)
limits=(--network=host --ulimit nofile=4096:4096 --ulimit nproc=4096:4096)
work=$(mktemp -d)
name=flashblock-image-test-$$ image=
trap '"${container[@]}" rm -f -t 5 $name >/dev/null 2>&1 || true
  podman rmi -f "$image" "localhost/$name-probe" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

# A container of one program that does nothing.
starts_containers() {
  local probe
  echo 'int main(void) { return 0; }' | gcc -static -x c -o "$work/true" - && probe=$(buildah from scratch) &&
    buildah copy -q "$probe" "$work/true" /true &&
    buildah commit -q --rm "$probe" "docker-archive:$work/probe.tar:localhost/$name-probe:latest" &&
    podman load --quiet -i "$work/probe.tar" &&
    "${container[@]}" run --rm "${limits[@]}" --cap-drop=ALL --read-only --tmpfs /tmp "localhost/$name-probe" /true
}
if ! starts_containers >"$work/probe" 2>&1; then
  echo "image: skipped: this machine starts no containers: $(tail -n 1 "$work/probe")"
  exit 77
fi

site=$(echo "$(readlink -f .venv)"/lib/python3*/site-packages)
token=a-token-of-some-length port=${PORT:-18080}
url=http://127.0.0.1:$port
ask() { curl --silent --show-error --fail --max-time 60 -H "Authorization: Bearer $token" "$@"; }

[ $# -gt 0 ] || scripts/package image --base debian-packages --without-libtorch
archive=${1:-$(echo dist/flashblock-*-image-without-libtorch.tar)}
built=$SECONDS
podman load --quiet -i "$archive" >"$work/loaded"
image=$(sed -n 's/^Loaded image: //p' "$work/loaded")
[ "$(podman image inspect "$image" --format '{{.Config.User}}')" = 10001:10001 ]

# No token, no server: others would reach it.
if "${container[@]}" run --rm "${limits[@]}" -v "$site:/libtorch:ro" "$image" 2>"$work/refusal"
then echo "it served without a token"; exit 1; fi
grep -q 'FLASHBLOCK_TOKEN\|--token' "$work/refusal"

# What compose.yaml says, as far as a container here can have it: no capability, nothing writable but the volumes.
"${container[@]}" run -d --name "$name" "${limits[@]}" --cap-drop=ALL --read-only --tmpfs /tmp \
  -v "$site:/libtorch:ro" -e FLASHBLOCK_TOKEN=$token "$image" serve "0.0.0.0:$port" --data /videos >/dev/null
for _ in $(seq 120); do ask "$url/healthz" >/dev/null 2>&1 && break; sleep 0.5; done
"${container[@]}" exec "$name" /opt/health "$port" || { podman logs "$name"; exit 1; }
[ "$(stat -c %u "/proc/$(podman inspect "$name" --format '{{.State.Pid}}')")" = 10001 ]  # not root
id=$(ask "$url/v1/videos" -H 'Content-Type: application/json' \
  -d '{"prompt": "a red ball in the city", "seconds": 1, "size": "64x64"}' | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
for _ in $(seq 240); do
  ask "$url/v1/videos/$id" >"$work/state"
  grep -q '"status": *"\(queued\|in_progress\)"' "$work/state" || break
  sleep 0.5
done
grep -q '"status": *"completed"' "$work/state" || { cat "$work/state"; podman logs "$name"; exit 1; }
ask -o "$work/video.mp4" "$url/v1/videos/$id/content"
[ "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 "$work/video.mp4")" = 16 ]
"${container[@]}" stop -t 30 "$name" >/dev/null
[ "$(podman inspect "$name" --format '{{.State.ExitCode}}')" = 0 ]  # an orderly end
echo "image: built in $built s; started, a video ordered and fetched in $((SECONDS - built)) s"
