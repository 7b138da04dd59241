#!/bin/sh
# Checks every SQL statement in src/store against migrations/ and writes the results to .sqlx.
# With --check, only verifies that .sqlx is up to date.
# Needs python3 (for its sqlite3 module) and a working build, but not sqlx-cli.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$work/schema.sqlite" migrations/*.sql <<'PY'
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
for path in sys.argv[2:]:
    database.executescript(open(path, encoding="utf-8").read())
PY

mkdir "$work/queries"
# Without a change, cargo would not expand the macros again.
touch src/lib.rs src/store/*.rs
DATABASE_URL="sqlite://$work/schema.sqlite" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/queries" \
    cargo check --quiet --release --lib

if [ "${1-}" = --check ]; then
    diff -r .sqlx "$work/queries" || {
        echo ".sqlx is out of date: run docker/sqlx-prepare.sh and commit the result" >&2
        exit 1
    }
else
    mkdir -p .sqlx
    rm -f .sqlx/*.json
    cp "$work/queries"/*.json .sqlx/
fi
echo "$(ls .sqlx | wc -l) statements in .sqlx"
