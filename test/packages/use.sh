#!/bin/sh
# sh test/packages/use.sh FOLDER PLATFORM: installs the tarballs of FOLDER as a user does, and has them infer (use.mjs).
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
packages=$(cd "$1" && pwd)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cd "$home"
echo '{ "private": true }' > package.json
# The engines of other platforms are not published yet when this runs: npm goes on without what is optional.
npm install --ignore-scripts --no-audit --no-fund "$packages"/subten-[0-9]*.tgz "$packages"/subten-onnxruntime-"$2"-[0-9]*.tgz
node "$checkout/test/packages/use.mjs" "$home/node_modules/subten/prebuilds/$2/" "$home/node_modules/subten/dist/index.js"
