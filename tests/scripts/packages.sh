#!/usr/bin/env bash
# Installs the libraries from a build folder, builds the programs in examples/ against what was installed, and runs
# them.
# usage: packages.sh BUILD_FOLDER TORCH_FOLDER
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd) torch=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build_example() {  # build_example NAME: the example against the packages in $work/moved
  cp -r "$source/examples/$1" "$work/$1"  # away from the sources, whose headers it must not find
  cmake -S "$work/$1" -B "$work/$1/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/moved;$torch" >/dev/null
  cmake --build "$work/$1/build"
}
install_component() {  # the package must not know where it was installed
  cmake --install "$build" --component "$1" --prefix "$work/prefix" >/dev/null
  [ ! -e "$work/prefix/bin" ]  # the component is libraries alone
  mkdir -p "$work/moved" && cp -r "$work/prefix/." "$work/moved" && rm -r "$work/prefix"
}

install_component attention
build_example attention
"$work/attention/build/attention_example"

install_component render
build_example render_library
"$work/render_library/build/render_example" "$source/assets/demo" "a red ball in the city" "$work/video.mp4"
[ -s "$work/video.mp4" ] && [ -s "$work/video.json" ] && [ ! -e "$work/video.parts" ]
