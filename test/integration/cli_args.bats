#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the command line says before it talks to anybody: help, mistakes, and an empty root.

# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
}

teardown() {
	cleat_teardown
}

# One line on stderr that begins with "cleat: " and has these words; nothing on stdout; 125.
assert_refused() { # REGEX ARGS...
	local words=$1

	shift
	run --separate-stderr cleat "$@"
	assert_status 125
	assert_equal "$output" ""
	assert_equal "${#stderr_lines[@]}" 1
	assert_match "$stderr" "^cleat: "
	assert_match "$stderr" "$words"
}

@test "help names every command, and every command has help" {
	local command

	run cleat --help
	assert_status 0
	for command in run create start restore exec kill pause resume ps update checkpoint state list \
		stats wait events delete shim completion version help; do
		assert_match "$output" "  $command +[A-Z]"
	done
	for command in run create start restore exec kill pause resume ps update checkpoint state list ls \
		stats wait events delete rm shim completion version help "shim list" "shim ping" "shim exit"; do
		# shellcheck disable=SC2086 # two words
		run --separate-stderr cleat $command --help
		assert_status 0
		assert_match "$output" "^Usage: cleat "
		assert_equal "$stderr" ""
	done
	run cleat --help
	assert_match "$output" "Exit status: .*125: .*126: .*127: "
	run cleat help kill
	assert_match "$output" "--all"
}

@test "unknown options name themselves and the help" {
	assert_refused 'unknown option --nope; see `cleat --help`' --nope list
	assert_refused 'run: unknown option --nope; see `cleat run --help`' run --nope x
	assert_refused 'exec: unknown option -Z; see `cleat exec --help`' exec -Z x
	assert_refused 'shim list: unknown option --nope' shim list --nope
	assert_refused "option --bundle needs a value" run --bundle
	assert_refused "option --detach takes no value" run --detach=yes x
}

@test "unknown commands, and those of later versions" {
	local command

	for command in nope attach; do
		assert_refused "unknown command \"$command\"" $command
	done
	assert_refused "unknown command \"nope\"" shim nope
	assert_refused "no command"
}

@test "a mistyped command or option: the nearest one that there is" {
	assert_refused '^cleat: unknown command "lsit" \(did you mean "list"\?\); see `cleat --help`$' lsit
	assert_refused 'unknown command "chekpiont" \(did you mean "checkpoint"\?\)' chekpiont
	assert_refused 'unknown command "stat" \(did you mean "start"\?\)' help stat
	assert_refused '^cleat: shim: unknown command "lst" \(did you mean "list"\?\); see `cleat shim --help`$' shim lst
	assert_refused 'unknown option --fromat \(did you mean --format\?\); see `cleat --help`' --fromat=json list
	assert_refused '^cleat: run: unknown option --bundel \(did you mean --bundle\?\); see `cleat run --help`$' \
		run --bundel web x
	# another command's is not meant
	assert_refused 'list: unknown option --bundel; see' list --bundel
}

@test "too few and too many arguments" {
	assert_refused "too few arguments" run
	assert_refused "too few arguments" kill
	assert_refused "too many arguments" state a b
	assert_refused "option --json must stand before x" state x --json
	assert_refused "no command" exec x
	assert_refused "exclude each other" exec --process /dev/null x true
	assert_refused "exclude each other" kill --all --exec-id e x
	assert_refused "--rm" run -d --rm x
}

@test "wrong ids, namespaces, formats, signals and runtimes" {
	local id

	for id in ../x .new-x a..b -- "" "$(printf 'a%.0s' {1..77})" a/b 'a b' a-; do
		assert_refused "container id" state -- "$id"
		assert_refused "container id" run -- "$id"
	done
	assert_refused "exec id" wait --exec-id ../x x
	assert_refused "exec id" exec --exec-id ../x x true
	assert_refused "namespace \"\.\./x\"" -n ../x list
	assert_refused "--format \"xml\"" --format xml list
	assert_refused "\"NOPE\" is no signal" kill x NOPE
	assert_refused "\"65\" is no signal" kill x 65
	assert_refused "\"0\" is no signal" kill x 0
	assert_refused "--since \"x\"" events --since x
	assert_refused "--deadline \"-1\"" --deadline -1 list
	make_bundle "$BUNDLE"
	run --separate-stderr "$CLEAT" --root "$ROOT" --runtime nope run --bundle "$BUNDLE" x
	assert_status 125
	assert_match "$stderr" "--runtime \"nope\""
}

@test "what is not there" {
	local command

	for command in start kill pause resume ps state wait delete "delete --force" "exec -d" "shim ping"; do
		# shellcheck disable=SC2086
		run --separate-stderr cleat $command nope true
		if [[ $command != exec* && $command != kill ]]; then
			# shellcheck disable=SC2086
			run --separate-stderr cleat $command nope
		elif [[ $command == kill ]]; then
			run --separate-stderr cleat kill nope TERM
		fi
		assert_status 125
		assert_equal "$stderr" "cleat: container nope: does not exist"
	done
	assert_refused "bundle $T/none: No such file" run --bundle "$T/none" x
	assert_refused "no cleatd answers on" --socket "$T/none" list
	assert_refused "there is no such socket" --shim "$T/none" list
	assert_refused "exclude each other" --shim a --socket b list
	assert nothing_left
}

@test "an empty root lists as empty, and is not made by looking" {
	run cleat list
	assert_status 0
	assert_match "$output" "^ID +PID +STATUS +BUNDLE +CREATED"
	assert_equal "${#lines[@]}" 1
	run cleat list --json
	assert_equal "$output" "[]"
	run cleat --format json ls
	assert_equal "$output" "[]"
	run cleat list -q
	assert_equal "$output" ""
	run cleat shim list --json
	assert_equal "$output" "[]"
	# cleatd, which is there first, makes it
	[[ $WAY == cleatd ]] || [ ! -e "$ROOT" ]
}

@test "version says how" {
	run cleat version
	assert_match "${lines[0]}" '^cleat [0-9]+\.[0-9]+\.[0-9]+$'
	if [[ $WAY == cleatd ]]; then way="via cleatd"; else way=direct; fi
	assert_equal "${lines[1]}" "$way"
	run cleat version --json
	assert_equal "$(jq -r .via <<<"$output")" "$way"
	run cleat --direct version
	assert_equal "${lines[1]}" direct
	run cleat --version
	assert_match "$output" '^cleat [0-9]'
}

@test "a cleatd that does not answer is an error within 2 s, one that is dead is none" {
	needs_way direct -- "the cleatd of this test is a stand-in"
	mkdir -p "$ROOT"
	background daemon python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
time.sleep(60)' "$ROOT/cleatd.sock"
	# bound is not listening yet
	wait_for 5 grep -qs " 00010000 0001 01 .*$ROOT/cleatd.sock" /proc/net/unix
	local before=$SECONDS
	assert_refused "cleatd on $ROOT/cleatd.sock: Info: no answer in time" list
	[[ $((SECONDS - before)) -le 4 ]]
	stop_process "${PID[daemon]}"
	unset "PID[daemon]"
	run cleat list
	assert_status 0
	rm "$ROOT/cleatd.sock"
}

@test "a full or closed stdout is an error" {
	run --separate-stderr bash -c "'$CLEAT' --root '$ROOT' list >/dev/full"
	assert_status 125
	assert_match "$stderr" "standard output: No space left"
}

@test "a path that is not UTF-8: never a hole in JSON, and refused where we could not find it again" {
	needs_way direct cleatd -- "who starts a shim by hand is told by it"
	make_bundle "$BUNDLE"
	cleat run -d --bundle "$BUNDLE" --log "file://$T/"$'l\xff' "$ID"
	assert_equal "$(cleat state "$ID" | jq -c '.processes[0] | [.stdout.uri, .stderr.uri]')" \
		"[\"file://$T/l?\",\"file://$T/l?\"]"
	cleat delete --force "$ID"
	for command in list "run --bundle $BUNDLE x"; do
		# shellcheck disable=SC2086
		assert_refused 'root ".*": must be valid UTF-8$' --root "$T/"$'r\xff' $command
	done
	[[ ! -e $T/$'r\xff' ]]
}
