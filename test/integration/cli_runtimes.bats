#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Sets of runtime options by name: runtimes.json.
# shellcheck disable=SC2154 # stderr is set by run

load lib

setup() {
	cleat_setup
	export CLEAT_RUNTIMES=$T/runtimes.json
}

teardown() {
	cleat_teardown
}

@test "a name from runtimes.json: its command, root, options and deadline" {
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "pause"]'
	cat >"$T/$RUNTIME" <<-SCRIPT
		#!/bin/sh
		echo "\$@" >>"$T/calls"
		exec ${RUNTIME_COMMAND[*]} "\$@"
	SCRIPT
	chmod +x "$T/$RUNTIME"
	jq -n --arg t "$T" --arg kind "$RUNTIME" '{v: 1, runtimes: {mine: {kind: $kind, command: ($t + "/" + $kind),
		root: ($t + "/mine"), options: ["debug"], deadline_ms: 30000}}}' >"$CLEAT_RUNTIMES"
	option=rootless=false
	# crun 1.8.1 keeps such a container below another root
	[[ $RUNTIME != crun ]] || option=cgroup-manager=cgroupfs
	cleat --runtime mine --runtime-opt "$option" create --bundle "$BUNDLE" "$ID"
	run jq -r '.runtime | .command' "$ROOT/c/default/$ID/state.json"
	assert_equal "$output" "$T/$RUNTIME"
	# over runsc each container has one of its own in that
	own=${RUNTIME_ROOT#"$ROOT/r/default"}
	assert_match "$(head -n 1 "$T/calls")" "--root=$T/mine/default$own --log="
	assert_match "$(head -n 1 "$T/calls")" " --debug --$option create "
	run runtime --root "$T/mine/default$own" state "$ID"
	assert_status 0
	cleat delete --force "$ID"
	rm -rf "$T/mine"
}

@test "a mistake in runtimes.json is told with its line and key, and nothing is started" {
	make_bundle "$BUNDLE"
	printf '{"v": 1, "runtimes": {\n "ok": {},\n "fast": {\n  "options": "debug"}}}' >"$CLEAT_RUNTIMES"
	for name in ok fast none; do
		run --separate-stderr "$CLEAT" --root "$ROOT" --runtime "$name" run --bundle "$BUNDLE" "$ID"
		assert_status 125
		assert_equal "$stderr" "cleat: $CLEAT_RUNTIMES:4: runtimes.fast.options: not a list of strings"
	done
	assert_equal "$(cleat list --json)" "[]"
}

@test "a name that is nowhere, and no file" {
	make_bundle "$BUNDLE"
	for text in '{"v": 1, "runtimes": {}}' ''; do
		rm -f "$CLEAT_RUNTIMES"
		[[ -z $text ]] || echo "$text" >"$CLEAT_RUNTIMES"
		run --separate-stderr "$CLEAT" --root "$ROOT" --runtime nope run --bundle "$BUNDLE" "$ID"
		assert_status 125
		assert_match "$stderr" "--runtime \"nope\" is none of runc, crun, runsc"
		assert_match "$stderr" "no name in $CLEAT_RUNTIMES"
	done
	# a runtime's own name needs no file
	edit_config "$BUNDLE" '.process.args = ["/bin/tool", "exit", "4"]'
	run "$CLEAT" --root "$ROOT" --runtime runc run --rm --bundle "$BUNDLE" "$ID"
	assert_status 4
}
