#!/bin/sh
# Builds the harness and the program under test, then runs the harness, without cargo between: a signal and the
# exit code go straight through.
#
#     tests/guarantees/chaos/run.sh [WRAPPER …]
#
# WRAPPER is a command that starts the harness, such as `unshare -m`.
set -eu
cd "$(dirname "$0")/../../.."
suite=$(cargo test --locked --no-run --test suite --message-format json |
    sed -n 's|.*"executable":"\([^"]*/suite-[0-9a-f]*\)".*|\1|p')
[ -n "$suite" ] || exit 2
exec "$@" "$suite" --exact guarantees::chaos::no_job_is_without_an_answer_and_none_has_two --nocapture
