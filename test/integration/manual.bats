#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The pages of the manual, held against the programs that they are about; and what cleat(1) shows, done.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	SOURCE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	PAGES=$SOURCE/supervisor/man
}

teardown() {
	cleat_teardown
}

# "-b, --bundle DIR" of each option, sorted.
told_by_help() { # PROGRAM ARGS...
	"$@" --help | sed -nE 's/^ +((-., )?--[a-z-]+( [^ ]+)?)( {2,}.*)?$/\1/p' | LC_ALL=C sort
}

# The same from the terms of a page's OPTIONS.
told_by_page() { # FILE
	sed -n '/^# OPTIONS/,/^# [^O]/p' "$1" | sed -nE '/^\*-/{s/[*_]//g; p}' | LC_ALL=C sort
}

# Every command, a line each.
all_commands() {
	"$CLEAT" --help | sed -nE '/^Options:/q; s/^  ([a-z]+) +[A-Z].*/\1/p'
}

@test "every page is set without a warning" {
	local page n=0

	command -v man >/dev/null || skip "there is no man"
	for page in "$CLEAT_BIN"/man/*.[1-8]; do
		run --separate-stderr man --warnings -E UTF-8 -l "$page"
		assert_status 0
		assert_equal "$stderr" ""
		assert_match "$output" "SEE ALSO"
		# as whatis and apropos read it
		run lexgrog "$page"
		assert_status 0
		page=$(basename "${page%.*}")
		assert_match "$output" "\"$page( - |_)"
		n=$((n + 1))
	done
	[[ $n -ge 25 ]]
}

@test "every command has a page, and every page of section 1 a command" {
	assert_equal "$(cd "$PAGES" && printf '%s\n' cleat-*.1.scd | sed 's/^cleat-//; s/\.1\.scd$//' | LC_ALL=C sort)" \
		"$(all_commands | LC_ALL=C sort)"
	# and the front page names each, as its help does
	assert_equal "$(sed -nE 's/^\*cleat-([a-z]+)\*\(1\)$/\1/p' "$PAGES/cleat.1.scd")" "$(all_commands)"
}

@test "the options of each page are those of --help, and the other way round" {
	local command

	assert_match "$(told_by_help "$CLEAT")" "-n, --namespace NS"
	assert_equal "$(told_by_page "$PAGES/cleat.1.scd")" "$(told_by_help "$CLEAT")"
	for command in $(all_commands); do
		echo "cleat $command"
		assert_equal "$(told_by_page "$PAGES/cleat-$command.1.scd")" "$(told_by_help "$CLEAT" "$command")"
	done
	assert_match "$(told_by_page "$PAGES/cleat-run.1.scd")" "-b, --bundle DIR"
	assert_equal "$(told_by_page "$PAGES/cleatd.8.scd")" "$(told_by_help "$CLEAT_BIN/cleatd")"
}

@test "cleat-shim's flags: each that it tells of, and no other" {
	local flag

	assert_equal "$(sed -nE '/^# OPTIONS/,/^# EXIT/s/^\*(-[a-z-]+)\*.*/\1/p' "$PAGES/cleat-shim.8.scd" | LC_ALL=C sort)" \
		"$("$CLEAT_BIN/cleat-shim" -h | grep -oE '(^|[[ ])-[a-z][a-z-]*' | tr -d '[ ' | LC_ALL=C sort -u)"
	for flag in $(sed -nE '/^# OPTIONS/,/^# EXIT/s/^\*(-[a-z-]+)\*.*/\1/p' "$PAGES/cleat-shim.8.scd"); do
		run "$CLEAT_BIN/cleat-shim" "$flag=" </dev/null
		refute_match "$output" "unknown flag"
	done
}

@test "a page's usage is that of the help" {
	local command

	for command in $(all_commands); do
		[[ $command != shim ]] || continue # it has a line for each of its own
		assert_equal "cleat [GLOBAL OPTIONS] $("$CLEAT" "$command" --help | sed -n '1s/^Usage: cleat //p')" \
			"$(sed -n '/^# SYNOPSIS/{n; n; s/[*_]//g; p}' "$PAGES/cleat-$command.1.scd")"
	done
}

@test "the keys of the files in section 5, and each example is taken" {
	local key

	sed -n '/^```/,/^```/{/^```/!p}' "$PAGES/cleatd.json.5.scd" >"$T/cleatd.json"
	sed -n '/^```/,/^```/{/^```/!p}' "$PAGES/cleat-runtimes.json.5.scd" >"$T/runtimes.json"
	assert_equal "$(CLEAT_RUNTIMES=$T/runtimes.json "$CLEAT_BIN/cleat" completion runtimes)" "runc
crun
runsc
fast
units"
	# of keys that are not known cleatd says so, before anything of what follows them is wrong
	for key in $(sed -nE 's/^\*([a-z_]+)\*$/\1/p' "$PAGES/cleatd.json.5.scd"); do
		jq --arg key "$key" '{v: 1} + {($key): null}' -n >"$T/one.json"
		run "$CLEAT_BIN/cleatd" --config "$T/one.json" --root "$T/cleatd"
		assert_status 1
		assert_match "$output" "one.json"
		refute_match "$output" "not a key"
	done
	for key in $(sed -nE 's/^\*([a-z_]+)\*$/\1/p' "$PAGES/cleat-runtimes.json.5.scd"); do
		jq --arg key "$key" '{v: 1, runtimes: {x: {($key): null}}}' -n >"$T/one.json"
		run env CLEAT_RUNTIMES="$T/one.json" "$CLEAT_BIN/cleat" completion runtimes
		assert_status 125
		assert_match "$output" "runtimes.x.$key: "
		refute_match "$output" "not a key"
	done
	jq '.root = $t + "/cleatd"' --arg t "$T" "$T/cleatd.json" >"$T/with-root.json"
	background own "$CLEAT_BIN/cleatd" --config "$T/with-root.json"
	wait_for 5 test -S "$T/cleatd/cleatd.sock"
	kill -TERM "${PID[own]}"
	finish own
	assert_status 0
	rm -rf "$T/cleatd"
}

# --- what cleat(1) shows ---
#
# Of each literal block a line with a "# " before it is a command. It exits with 0, or as "# exits with N" at its end
# says. What follows it is what it prints, on both streams; as the last line "..." is whatever else comes. Numbers
# are as they happen to be, and columns as wide as they have to.

# Runs of digits and spaces are one; our folders are the page's.
in_general() {
	sed -E "s|$PWD|/srv|g; s|$ROOT|/run/cleat|g; s/[0-9]+(\.[0-9]+)?/N/g; s/ +/ /g; s/ $//"
}

# Does what one command line of the page says, and holds what it prints against the lines after it.
do_line() { # LINE WANTED
	local line=$1 wanted=$2 exits=0

	if [[ $line =~ ^(.*[^ ])\ +#\ exits\ with\ ([0-9]+)$ ]]; then
		line=${BASH_REMATCH[1]}
		exits=${BASH_REMATCH[2]}
	fi
	line=${line//\/srv/$PWD}
	echo "# $line"
	run -"$exits" bash -c "${line//\/run\/cleat/$ROOT}"
	output=$(in_general <<<"$output")
	wanted=$(in_general <<<"$wanted")
	if [[ ${wanted##*$'\n'} == ... ]]; then
		wanted=${wanted%...}
		output=${output:0:${#wanted}}
	fi
	assert_equal "$output" "$wanted"
	# who types is slower than what was started
	[[ $line != *" --log file://"* ]] || wait_for 10 test -s "$PWD/web.log"
}

@test "what cleat(1) shows can be done as it stands there, in that order" {
	local line command='' wanted='' n=0

	needs_way direct -- "the page is about that"
	needs_root "sees other things there"
	[[ $RUNTIME == runc ]] || skip "the page is about runc"
	make_bundle "$PWD/job" '.process.args = ["sh", "-c", "echo done; exit 3"]'
	make_bundle "$PWD/web" '.process.args = ["sh", "-c",
		"trap \"echo bye; exit 3\" TERM; echo serving; while :; do sleep 1; done"]'
	# its programs are as the page says that they are
	for line in "'echo done; exit 3'" "'trap \"echo bye; exit 3\" TERM; echo serving; while :; do sleep 1; done'"; do
		assert grep -qF "sh -c $line" "$PAGES/cleat.1.scd"
	done
	# by its name, with the root that it has by default
	mkdir "$T/path"
	printf '#!/bin/sh\nexec "%s" --root "%s" "$@"\n' "$CLEAT" "$ROOT" >"$T/path/cleat"
	chmod +x "$T/path/cleat"
	PATH=$T/path:$PATH
	while IFS= read -r line; do
		if [[ $line == '# '* || $line == end ]]; then
			[[ -z $command ]] || do_line "$command" "$wanted"
			command=${line#'# '}
			wanted=
			n=$((n + 1))
		else
			wanted+=${wanted:+$'\n'}$line
		fi
	done < <(sed -n '/^```/,/^```/{/^```/!p}' "$PAGES/cleat.1.scd"; echo end)
	[[ $n -ge 20 ]]
	assert_equal "$("$CLEAT" --root "$ROOT" list -q)" ""
}
