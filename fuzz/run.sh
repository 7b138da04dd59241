#!/bin/sh
# Fuzzes one reader: fuzz/run.sh TARGET SECONDS. Findings go to fuzz/artifacts.
# With cargo-fuzz and a nightly compiler, `cargo fuzz run TARGET` from the repository's root does the same and also
# finds memory errors. This script needs only the stable compiler, because none of our readers has unsafe code.
set -eu
cd "$(dirname "$0")"
target=$1 seconds=${2-60}
triple=$(rustc -vV | sed -n 's/host: //p')
unset LIBTORCH
RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --release --target "$triple" --bin "$target"
mkdir -p "work/$target" artifacts
corpora=$(ls -d corpus/*)
# shellcheck disable=SC2086 # a list of folders
exec nice "target/$triple/release/$target" "work/$target" $corpora -max_total_time="$seconds" -artifact_prefix=artifacts/ \
    -rss_limit_mb=100 -malloc_limit_mb=64 -timeout=60 -max_len=65536 -print_final_stats=1
