#!/usr/bin/env bash
# Installs the attention library from a build folder, builds examples/attention against what was installed, and runs it.
# usage: attention_package.sh BUILD_FOLDER TORCH_FOLDER
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd) torch=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component attention --prefix "$work/prefix" >/dev/null
[ ! -e "$work/prefix/bin" ]  # the component is the library alone
cp -r "$source/examples/attention" "$work/example"  # away from the sources, whose headers it must not find
mv "$work/prefix" "$work/moved"                     # the package must not know where it was installed
cmake -S "$work/example" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/moved;$torch" >/dev/null
cmake --build "$work/build"
"$work/build/attention_example"
