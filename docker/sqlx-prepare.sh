#!/bin/sh
# Writes .sqlx, the checked form of every SQL statement, from migrations/ and src/store.
# With --check, says whether the committed one is up to date instead.
# Needs python3 (for its sqlite3 module) and a working build; no sqlx-cli.
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
# cargo has to see a change, or it would not expand the macros again.
touch src/lib.rs src/store/*.rs
DATABASE_URL="sqlite://$work/schema.sqlite" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/queries" \
    cargo check --quiet --release --lib

if [ "${1-}" = --check ]; then
    diff -r .sqlx "$work/queries" || {
        echo ".sqlx is out of date: run docker/sqlx-prepare.sh and commit what it writes" >&2
        exit 1
    }
else
    mkdir -p .sqlx
    rm -f .sqlx/*.json
    cp "$work/queries"/*.json .sqlx/
fi
echo "$(ls .sqlx | wc -l) statements in .sqlx"
