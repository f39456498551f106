#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `cleat update`: which document its options make, and what state tells of annotations. What limits
# do is in cgroup.bats.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
}

teardown() {
	cleat_teardown
}

# The runtime, but that an update is kept instead of made.
make_runtime() {
	cat >"$T/$RUNTIME" <<-END
		#!/bin/sh
		case "\$*" in
		*" update "*)
			while [ "\$1" != --resources ]; do shift; done
			exec cp "\$2" "$T/asked"
			;;
		esac
		exec ${RUNTIME_COMMAND[*]} "\$@"
	END
	chmod +x "$T/$RUNTIME"
}

@test "options make a document, and are laid over one" {
	lacks runsc "has no update"
	make_bundle "$BUNDLE"
	make_runtime
	cleat --runtime "$T/$RUNTIME" run -d --bundle "$BUNDLE" "$ID"
	cleat update --cpu-rt-period 1000000 --cpu-rt-runtime 950000 --cpu-period 50000 --cpu-quota -1 "$ID"
	assert_equal "$(jq -Sc . "$T/asked")" \
		'{"cpu":{"period":50000,"quota":-1,"realtimePeriod":1000000,"realtimeRuntime":950000}}'
	echo '{"cpu": {"realtimePeriod": 5, "shares": 7}, "pids": {"limit": 3}}' |
		cleat update -r - --cpu-rt-period 6 --memory 1M --blkio-weight 20 --cpuset-cpus 0 "$ID"
	assert_equal "$(jq -Sc . "$T/asked")" '{"blockIO":{"weight":20},"cpu":{"cpus":"0","realtimePeriod":6,"shares":7},"memory":{"limit":1048576},"pids":{"limit":3}}'
	run --separate-stderr cleat update --cpu-rt-runtime much "$ID"
	assert_status 125
	assert_match "$stderr" 'cpu-rt-runtime "much" is no number'
	run --separate-stderr cleat update --cpu-rt-period -1 "$ID"
	assert_status 125
	assert_match "$stderr" 'cpu\.realtimePeriod'
	cleat delete --force "$ID"
}

@test "state tells config.json's annotations, and those of updates over them" {
	make_bundle "$BUNDLE" '.annotations = {"org.example.a": "1", "org.example.b": "2"}'
	cleat run -d --bundle "$BUNDLE" "$ID"
	annotations() { cleat state "$ID" | jq -Sc .annotations; }
	assert_equal "$(annotations)" '{"org.example.a":"1","org.example.b":"2"}'
	socket=$(cleat state "$ID" | jq -r .socket)
	"$BATS_TEST_DIRNAME/task_call.py" "$socket" annotate "$ID" org.example.b three
	"$BATS_TEST_DIRNAME/task_call.py" "$socket" annotate "$ID" org.example.c ''
	assert_equal "$(annotations)" '{"org.example.a":"1","org.example.b":"three","org.example.c":""}'
	assert_equal "$(jq -Sc .annotations "$BUNDLE/config.json")" '{"org.example.a":"1","org.example.b":"2"}'
	cleat delete --force "$ID"
	make_bundle "$T/plain"
	edit_config "$T/plain" 'del(.annotations)'
	cleat run -d --bundle "$T/plain" "$ID"
	assert_equal "$(annotations)" null
	cleat delete --force "$ID"
}
