#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Figures of a container that has no cgroup of its own: those that runsc tells.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	command -v runsc >/dev/null || skip "no runsc here"
	cleat_setup
	# the sandbox belongs to nobody, and makes its root in TMPDIR
	chmod 0711 "$T"
	chmod 1777 "$TMPDIR"
	SANDBOX=(--runtime runsc --runtime-opt platform=ptrace --runtime-opt network=none
		--runtime-opt ignore-cgroups)
}

teardown() {
	[[ -z ${T-} ]] || cleat_teardown
}

metrics() { # ID
	cleat stats --json "$1" | jq -c "$2"
}

# A runsc that does not answer `events`, and is runsc in all else.
make_slow_runsc() {
	cat >"$T/runsc" <<-END
		#!/bin/sh
		case "\$*" in
		*" events "*) echo >"$T/asked"; exec sleep 300 ;;
		esac
		exec $(command -v runsc) "\$@"
	END
	chmod +x "$T/runsc"
}

@test "runsc without cgroups: its own figures, and no processor time, which is not its own" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "mem", "30", "hold"]'
	cleat "${SANDBOX[@]}" run -d --bundle "$BUNDLE" --log "file://$T/log" "$ID"
	wait_for 20 grep -q ready "$T/log"
	assert_match "$(cleat stats --json "$ID" | jq -r .type)" '^io\.containerd\.cgroups\.v[12]\.Metrics$'
	assert_equal "$(metrics "$ID" .metrics.pids.current)" 1
	used=$(metrics "$ID" '.metrics.memory.usage | if type == "object" then .usage else . end')
	[[ $used -ge $((30 << 20)) && $used -le $((60 << 20)) ]] || { echo "memory: $used"; return 1; }
	assert_equal "$(metrics "$ID" '[.metrics.cpu | .. | numbers] | add // 0')" 0
	run cleat stats
	assert_match "${lines[1]}" "^$ID +0\.000 s +[3-5][0-9]\.[0-9] MiB +- +1 "
	cleat kill "$ID" KILL
	cleat wait "$ID" || true
	run --separate-stderr cleat stats "$ID"
	assert_status 125
	assert_match "$stderr" 'cgroup does not exist'
	cleat delete "$ID"
}

@test "a runsc that does not answer: the call ends at its deadline, and every other goes on" {
	make_bundle "$BUNDLE"
	make_slow_runsc
	cat >"$T/runtimes.json" <<-END
		{"v": 1, "runtimes": {"slow": {"kind": "runsc", "command": "$T/runsc", "deadline_ms": 4000,
		  "options": ["platform=ptrace", "network=none", "ignore-cgroups"]}}}
	END
	CLEAT_RUNTIMES=$T/runtimes.json cleat --runtime slow run -d --bundle "$BUNDLE" "$ID"
	background stats "$CLEAT" --root "$ROOT" stats --json "$ID"
	wait_for 20 test -e "$T/asked"
	assert_equal "$(cleat state "$ID" | jq -r .status)" running
	finish stats
	assert_status 125
	assert_match "$stderr" 'runsc stats: no answer in 4 s'
	cleat kill "$ID" KILL
	cleat wait "$ID" || true
	cleat delete "$ID"
}
