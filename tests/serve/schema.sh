#!/usr/bin/env bash
# Holds a running server against its OpenAPI description with schemathesis (PyPI; options of version 4).
# usage: tests/serve/schema.sh URL SCHEMATHESIS [ARGS...]
# Left out: / (a page) and /v1/events (which has no end).
set -euo pipefail
url=$1 schemathesis=$2
shift 2
exec "$schemathesis" run "$url/openapi.json" --url "$url" --exclude-path / --exclude-path /v1/events \
  --checks all --request-timeout 20 --max-examples 30 "$@"
