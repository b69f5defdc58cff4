#!/bin/sh
# The kernels for ARM (NEON) against those for this machine, without an ARM machine: one program is built for both,
# the one for ARM runs in an emulator. Needs qemu-aarch64 (Debian: qemu-user) and a compiler for ARM
# (g++-aarch64-linux-gnu, or Zig: pip install ziglang).
#   CXX        for this machine (c++)
#   ARM_CXX    for ARM (aarch64-linux-gnu-g++, else zig c++ -target aarch64-linux-musl)
#   EMULATOR   (qemu-aarch64, else qemu-aarch64-static)
# HiFi-GAN and the flows are compiled for ARM, not run: what they are told is made by Python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
native=$here/../src/namexp/kernels/native
flags="-std=c++17 -O3 -w -pthread -ffp-contract=fast -fno-math-errno -fno-trapping-math -I$native"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

first() {  # the first of the commands whose program is there
    for command in "$@"; do
        command -v "${command%% *}" > /dev/null && { echo "$command"; return; }
    done
    echo "skipped: none of these is on this machine: $*" >&2
    return 1
}
host=$(first "${CXX:-c++}" g++ clang++) || exit 0
arm=$(first "${ARM_CXX:-aarch64-linux-gnu-g++}" "zig c++ -target aarch64-linux-musl") || exit 0
emulator=$(first "${EMULATOR:-qemu-aarch64}" qemu-aarch64-static) || exit 0

$host -march=native $flags "$here/arm64/kernels.cpp" -o "$folder/here"
$arm -static $flags "$here/arm64/kernels.cpp" -o "$folder/arm"
filters='using namespace namexp; static const FilterKind filters[] = {FilterKind::of<Direct>()}; NAMEXP_HIFIGAN(filters)'
printf '#include "hifigan_stream.hpp"\n%s\n' "$filters" > "$folder/hifigan.cpp"
printf '#include "waveflow.hpp"\nNAMEXP_WAVEFLOW\n' > "$folder/waveflow.cpp"
for kernel in hifigan waveflow; do
    $arm $flags -c "$folder/$kernel.cpp" -o "$folder/$kernel.o"
done
"$folder/here" > "$folder/here.txt"
$emulator "$folder/arm" > "$folder/arm.txt"
# the norm of the difference over the norm, by name
paste -d ' ' "$folder/here.txt" "$folder/arm.txt" | awk '
    $1 != $3 { print "other lines: " $0; wrong = 1; exit 1 }
    { of[$1] += $2 * $2; off[$1] += ($2 - $4) * ($2 - $4); count[$1]++ }
    END {
        for (name in of) {
            error = sqrt(off[name] / of[name])
            printf "%-13s %6d numbers, off by %.1e\n", name, count[name], error
            if (!(error < 1e-5)) wrong = 1
        }
        exit wrong
    }'
echo "ARM computes what this machine does"
